"""LSTM layers on meta train as on the CPU: the same operators, their workspace, the same peak."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import torchstat_cli as ms
from torchstat_cli.capture.metadata import infer
from torchstat_cli.capture.recurrent import lstm_of_the_cpu

SHAPES = [(64, 32, 256, 256), (64, 32, 512, 256), (128, 16, 512, 512), (64, 32, 256, 1024)]


def arguments(steps: int, batch: int, width: int, hidden: int, device: str) -> tuple[object, ...]:
    weights = [torch.zeros(size, device=device) for size in ((4 * hidden, width), (4 * hidden, hidden))]
    biases = [torch.zeros(4 * hidden, device=device) for _ in range(2)]
    states = [torch.zeros(batch, hidden, device=device) for _ in range(2)]
    given = torch.zeros(steps, batch, width, device=device, requires_grad=True)
    return (given, *weights, *biases, *states, False, [], 2, hidden, 1, True, False, False, True)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")
@pytest.mark.parametrize("shape", SHAPES)
def test_the_workspace_is_what_onednn_asks_for(shape: tuple[int, int, int, int]) -> None:
    operator = torch.ops.aten.mkldnn_rnn_layer
    real = operator(*arguments(*shape, "cpu"))
    ours = infer(operator.default, arguments(*shape, "meta"), {})
    assert [tensor.shape for tensor in ours[:3]] == [tensor.shape for tensor in real[:3]]
    assert ours[3].dtype == real[3].dtype == torch.uint8
    assert abs(ours[3].numel() / real[3].numel() - 1) < 0.01


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch was built without oneDNN")
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}])
def test_a_training_step_peaks_where_the_allocator_does(options: dict[str, int]) -> None:
    model, given = nn.LSTM(128, 256, batch_first=True, **options), torch.zeros(16, 32, 128)

    def last(output: tuple[Tensor, object]) -> Tensor:
        return output[0].sum()

    simulated = ms.profile(model, given, train=True, memory=True, loss=last)
    real = ms.profile(model, given, train=True, memory=True, loss=last, device="cpu")
    assert real.memory is not None
    assert real.memory.measured is not None
    assert abs((simulated.total.peak or 0) / real.memory.measured - 1) < 0.02
    assert simulated.total.madds == real.total.madds


def test_other_cases_are_left_to_torch_and_the_function_is_put_back() -> None:
    original = torch._VF.lstm
    packed = nn.utils.rnn.pack_padded_sequence(torch.zeros(5, 2, 4), torch.tensor([5, 3]))
    with lstm_of_the_cpu():
        assert torch._VF.lstm is not original
        output, _ = nn.LSTM(4, 3)(packed)
    assert output.data.shape == (8, 3)
    assert torch._VF.lstm == original
