"""Recurrent layers on meta run as on the CPU: the same operators, oneDNN's workspace, the same peak."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import torchstat_cli as ms
from torchstat_cli.capture.cpu_kernels import onednn_recurrent
from torchstat_cli.capture.cpu_kernels.onednn_recurrent import padded, workspace
from torchstat_cli.capture.cpu_kernels.release import onednn_release
from torchstat_cli.capture.dispatch.meta_kernels import infer
from torchstat_cli.capture.emulation.recurrent import recurrent_layers_of_the_cpu

by_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")

SHAPES = [(64, 32, 256, 256), (64, 32, 512, 256), (128, 16, 512, 512), (64, 32, 256, 1024), (7, 5, 17, 33)]

TWO_WAYS = {"num_layers": 2, "bidirectional": True}
LAYERS: list[tuple[str, dict[str, Any]]] = [
    ("LSTM", {}),
    ("LSTM", {"bias": False}),
    ("LSTM", {**TWO_WAYS, "bias": False}),
    ("LSTM", TWO_WAYS),
    ("GRU", {}),
    ("GRU", TWO_WAYS),
    ("RNN", {"num_layers": 3, "bias": False}),
    ("RNN", {**TWO_WAYS, "nonlinearity": "relu"}),
]


def arguments(steps: int, batch: int, width: int, hidden: int, device: str) -> tuple[object, ...]:
    weights = [torch.zeros(size, device=device) for size in ((4 * hidden, width), (4 * hidden, hidden))]
    biases = [torch.zeros(4 * hidden, device=device) for _ in range(2)]
    states = [torch.zeros(batch, hidden, device=device) for _ in range(2)]
    given = torch.zeros(steps, batch, width, device=device, requires_grad=True)
    return (given, *weights, *biases, *states, False, [], 2, hidden, 1, True, False, False, True)


def first(output: tuple[Tensor, object]) -> Tensor:
    return output[0].sum()


def errors(model: nn.Module, given: Tensor, **options: Any) -> float:
    """Simulated peak against the allocator's, relative."""
    real = ms.profile(model, given, memory=True, device="cpu", **options)
    assert real.memory is not None
    assert real.memory.measured is not None
    return (ms.profile(model, given, memory=True, **options).total.peak or 0) / real.memory.measured - 1


@by_onednn
@pytest.mark.parametrize("shape", SHAPES)
def test_the_workspace_is_what_onednn_asks_for(shape: tuple[int, int, int, int]) -> None:
    operator = torch.ops.aten.mkldnn_rnn_layer
    real = operator(*arguments(*shape, "cpu"))
    ours = infer(operator.default, arguments(*shape, "meta"), {})
    assert [tensor.shape for tensor in ours[:3]] == [tensor.shape for tensor in real[:3]]
    assert ours[3].dtype == real[3].dtype == torch.uint8
    assert abs(ours[3].numel() / real[3].numel() - 1) < 0.002


@pytest.mark.parametrize(("release", "wide_states"), [((3, 7), 5), ((3, 12), 3)])
def test_the_workspace_by_hand(release: tuple[int, int], wide_states: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # 1 step, 32 sequences, 256 wide on both sides. Rows: 1024 gates -> 1040, 256 -> 272 numbers. In pages of 4096:
    # gates 32 * 1040 * 4 = 33, states 32 * 272 * 4 = 9, three or five times 2 * 2 * 32 * 272 * 4 = 34, twice 32.
    monkeypatch.setattr(onednn_recurrent, "onednn_release", lambda: release)
    assert (padded(1024), padded(256), padded(200)) == (1040, 272, 208)
    assert workspace(1, 32, 128, 256) == (33 + 9 + wide_states * 34 + 2 * 32) * 4096


def test_the_release_is_that_of_torch() -> None:
    assert onednn_release() >= (3, 7)
    if torch.backends.mkldnn.is_available():
        assert f"MKL-DNN v{'.'.join(map(str, onednn_release()))}." in torch.__config__.show()


@by_onednn
@pytest.mark.parametrize("batch", [1, 2])
def test_one_sequence_alone_holds_the_gates_of_all_steps(batch: int) -> None:
    assert abs(errors(nn.LSTM(64, 160), torch.zeros(40, batch, 64))) < 0.005


@by_onednn
@pytest.mark.parametrize(("kind", "options"), LAYERS)
def test_a_forward_pass_peaks_where_the_allocator_does(kind: str, options: dict[str, Any]) -> None:
    model = getattr(nn, kind)(96, 160, batch_first=True, **options)
    assert abs(errors(model, torch.zeros(16, 24, 96))) < 0.005


@by_onednn
@pytest.mark.parametrize(("kind", "options"), LAYERS)
def test_a_training_step_peaks_where_the_allocator_does(kind: str, options: dict[str, Any]) -> None:
    model = getattr(nn, kind)(96, 160, batch_first=True, **options)
    old = onednn_release() < (3, 10) and not options.get("bias", True)  # docs/memory.md says so
    assert abs(errors(model, torch.zeros(16, 24, 96), train=True, loss=first)) < (0.02 if old else 0.005)


@by_onednn
@pytest.mark.parametrize(("kind", "options"), LAYERS)
def test_the_work_on_meta_is_that_on_the_cpu(kind: str, options: dict[str, Any]) -> None:
    model, given = getattr(nn, kind)(12, 16, **options), torch.zeros(5, 3, 12)
    on_meta = ms.profile(model, given, train=True, loss=first).total
    real = ms.profile(model, given, train=True, loss=first, device="cpu").total
    assert (on_meta.madds, on_meta.flops) == (real.madds, real.flops)


def test_other_cases_are_left_to_torch_and_the_functions_are_put_back() -> None:
    before = {name: getattr(torch._VF, name) for name in ("lstm", "gru", "rnn_tanh", "rnn_relu")}
    packed = nn.utils.rnn.pack_padded_sequence(torch.zeros(5, 2, 4), torch.tensor([5, 3]))
    with recurrent_layers_of_the_cpu():
        assert all(getattr(torch._VF, name) is not function for name, function in before.items())
        for kind in (nn.LSTM, nn.GRU, nn.RNN):
            output, _ = kind(4, 3)(packed)
            assert output.data.shape == (8, 3)
    assert all(getattr(torch._VF, name) == function for name, function in before.items())
