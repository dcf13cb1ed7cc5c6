"""Outside references: torch's own decompositions, and its FlopCounterMode where that counts correctly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from torchstat_cli.calculators import builtin_registry  # noqa: E402
from torchstat_cli.capture.dispatch.calls import describe_call  # noqa: E402
from torchstat_cli.records import Cost, OpRecord  # noqa: E402


class Tape(TorchDispatchMode):
    """Every operator that runs while it is open."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[OpRecord] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.records.append(describe_call(func, args, kwargs or {}, result))
        return result


def total(run: Callable[[], object]) -> Cost:
    """What everything that ``run`` executes costs; nothing of it is unknown."""
    with Tape() as tape:
        run()
    costs = [builtin_registry().cost(op) for op in tape.records]
    assert None not in costs, [op.name for op, cost in zip(tape.records, costs, strict=True) if cost is None]
    found = [cost for cost in costs if cost is not None]
    assert all(cost.flops >= 2 * cost.madds for cost in found)  # every tensor of these tests is floating
    return sum(found, Cost())


def at_framework_level(run: Callable[[], object]) -> Cost:
    with torch.inference_mode():
        return total(run)


def at_aten_level(run: Callable[[], object]) -> Cost:
    with torch.no_grad():
        return total(run)


def r(*shape: int) -> Any:
    return torch.rand(*shape)


COMPOSITES: dict[str, Callable[[], object]] = {
    "linear": lambda: F.linear(r(2, 3, 8), r(5, 8), r(5)),
    "linear without bias": lambda: F.linear(r(2, 3, 8), r(5, 8)),
    "conv1d": lambda: F.conv1d(r(2, 8, 10), r(6, 4, 3), r(6), groups=2, padding=1),
    "conv2d same": lambda: F.conv2d(r(2, 8, 10, 12), r(6, 8, 3, 3), r(6), padding="same"),
    "conv2d unbatched": lambda: F.conv2d(r(8, 10, 12), r(6, 8, 3, 3), r(6)),
    "conv_transpose2d": lambda: F.conv_transpose2d(r(2, 8, 5, 6), r(8, 3, 4, 4), r(6), stride=2, groups=2),
    "matmul": lambda: r(2, 3, 4, 5) @ r(3, 5, 7),
    "matmul vector": lambda: r(3, 4, 5) @ r(5),
    "inner": lambda: torch.inner(r(3, 5), r(4, 5)),
    "tensordot": lambda: torch.tensordot(r(3, 4, 5), r(5, 4, 2), dims=([1, 2], [1, 0])),
    "outer": lambda: torch.outer(r(3), r(4)),
    "multi_dot": lambda: torch.linalg.multi_dot([r(3, 10), r(10, 2), r(2, 8), r(8)]),
    "vecdot": lambda: torch.linalg.vecdot(r(6, 8), r(6, 8)),
    "matrix_power": lambda: torch.linalg.matrix_power(r(4, 4), 11),
    "kron": lambda: torch.kron(r(3, 2), r(2, 2)),
    "bilinear": lambda: F.bilinear(r(6, 4), r(6, 5), r(3, 4, 5), r(3)),
    "cdist large": lambda: torch.cdist(r(30, 4), r(5, 4)),
    "cdist small": lambda: torch.cdist(r(3, 4), r(5, 4)),
    "attention": lambda: F.scaled_dot_product_attention(r(2, 4, 5, 6), r(2, 4, 7, 6), r(2, 4, 7, 6)),
    "layer_norm": lambda: F.layer_norm(r(6, 8), (8,), r(8), r(8)),
    "group_norm": lambda: F.group_norm(r(2, 8, 10), 4, r(8), r(8)),
    "instance_norm": lambda: F.instance_norm(r(2, 8, 10), weight=r(8), bias=r(8)),
    "instance_norm training": lambda: F.instance_norm(r(2, 8, 10), r(8), r(8)),
    "instance_norm evaluation": lambda: F.instance_norm(r(2, 8, 10), r(8), r(8), use_input_stats=False),
    "batch_norm": lambda: F.batch_norm(r(2, 8, 10), r(8), r(8), r(8), r(8)),
    "batch_norm training": lambda: F.batch_norm(r(2, 8, 10), r(8), r(8), r(8), r(8), training=True),
    "rms_norm": lambda: F.rms_norm(r(6, 8), (8,), r(8)),
    "softmax": lambda: F.softmax(r(6, 8), -1),
    "log_softmax": lambda: F.log_softmax(r(6, 8), 0),
    "max_pool1d": lambda: F.max_pool1d(r(2, 8, 10), 3),
    "max_pool2d": lambda: F.max_pool2d(r(2, 8, 10, 12), 3, 2, 1),
    "avg_pool1d": lambda: F.avg_pool1d(r(2, 8, 10), 3),
    "global mean": lambda: F.adaptive_avg_pool2d(r(2, 8, 10, 12), 1),
    "adaptive_avg_pool1d": lambda: F.adaptive_avg_pool1d(r(2, 8, 10), 3),
    "adaptive_avg_pool2d": lambda: F.adaptive_avg_pool2d(r(2, 8, 10, 12), (3, 5)),
    "selu": lambda: F.selu(r(6, 8)),
    "celu": lambda: F.celu(r(6, 8), alpha=2.0),
    "mish": lambda: F.mish(r(6, 8)),
    "prelu": lambda: F.prelu(r(2, 8, 10), r(8)),
    "dropout": lambda: F.dropout(r(6, 8), 0.5, training=True),
    "dropout evaluation": lambda: F.dropout(r(6, 8), 0.5, training=False),
    "alpha_dropout": lambda: F.alpha_dropout(r(6, 8), 0.5, training=True),
    "feature_alpha_dropout": lambda: F.feature_alpha_dropout(r(6, 8, 4), 0.5, training=True),
    "bilinear interpolation": lambda: F.interpolate(r(2, 8, 10, 12), scale_factor=2, mode="bilinear"),
    "grid_sample": lambda: F.grid_sample(r(2, 8, 10, 12), r(2, 5, 5, 2), align_corners=False),
    "lstm": lambda: torch.nn.LSTM(5, 7, 2, bidirectional=True)(r(3, 2, 5)),
    "lstm projected": lambda: torch.nn.LSTM(5, 7, 2, proj_size=3)(r(3, 2, 5)),
    "gru": lambda: torch.nn.GRU(5, 7, 2)(r(3, 2, 5)),
    "rnn": lambda: torch.nn.RNN(5, 7, bias=False)(r(3, 2, 5)),
    "lstm cell": lambda: torch.nn.LSTMCell(5, 7)(r(3, 5)),
    "gru cell": lambda: torch.nn.GRUCell(5, 7)(r(3, 5)),
    "packed lstm": lambda: torch.nn.LSTM(5, 7)(torch.nn.utils.rnn.pack_sequence([r(4, 5), r(2, 5)])),
    "std": lambda: r(2, 8, 10).std(1),
    "norm": lambda: r(2, 8, 10).norm(dim=1),
    "linalg norm": lambda: torch.linalg.norm(r(6, 8)),
    "matrix norm": lambda: torch.linalg.matrix_norm(r(6, 8), 1),
    "real fft": lambda: torch.fft.fft(r(3, 8)),
    "rfft": lambda: torch.fft.rfft(r(3, 8), n=16),
    "irfft2": lambda: torch.fft.irfft2(torch.rand(3, 8, 5, dtype=torch.cfloat)),
    "hfft": lambda: torch.fft.hfft(torch.rand(3, 5, dtype=torch.cfloat)),
    "fftn": lambda: torch.fft.fftn(r(4, 8), s=(8, 8)),
    "cross_entropy": lambda: F.cross_entropy(r(6, 8), torch.arange(6)),
    "cross_entropy smoothed": lambda: F.cross_entropy(r(6, 8), torch.arange(6), label_smoothing=0.1),
    "cross_entropy of probabilities": lambda: F.cross_entropy(r(6, 8), r(6, 8)),
    "mse_loss": lambda: F.mse_loss(r(6, 8), r(6, 8)),
    "kl_div": lambda: F.kl_div(r(6, 8), r(6, 8), reduction="sum"),
    "bce with logits": lambda: F.binary_cross_entropy_with_logits(r(4), r(4)),
    "embedding_bag": lambda: F.embedding_bag(torch.arange(6), r(9, 4), torch.tensor([0, 3])),
    "solve": lambda: torch.linalg.solve(r(4, 4) + 4 * torch.eye(4), r(4, 2)),
    "det": lambda: torch.linalg.det(r(4, 4)),
    "clamp": lambda: r(6, 8).clamp(0, 1),
    "floor division": lambda: r(6, 8) // 2,
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("name", COMPOSITES)
def test_a_composite_costs_what_its_parts_cost(name: str) -> None:
    assert at_framework_level(COMPOSITES[name]) == at_aten_level(COMPOSITES[name])


def test_the_fused_encoder_layer_costs_what_the_plain_one_costs() -> None:
    layer = torch.nn.TransformerEncoderLayer(64, 4, batch_first=True, dropout=0.0)
    x = r(2, 16, 64)
    plain = at_framework_level(lambda: layer.train()(x))
    fused = at_framework_level(lambda: layer.eval()(x))
    assert plain == fused
    assert fused.madds == 8_978_432


UNCOUNTED = {"matmul vector", "bilinear", "cdist large", "attention", "lstm", "lstm projected", "packed lstm"}
"""FlopCounterMode has no formula for mv, _trilinear, cdist, the CPU's attention and oneDNN's LSTM."""


@pytest.mark.parametrize("name", sorted(COMPOSITES.keys() - UNCOUNTED))
def test_madds_are_half_of_what_torch_counts(name: str) -> None:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        COMPOSITES[name]()
    assert 2 * at_aten_level(COMPOSITES[name]).madds == counter.get_total_flops()


BACKWARD: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]] = {
    "linear": (F.linear, ((2, 3, 8), (5, 8), (5,))),
    "conv2d": (F.conv2d, ((2, 8, 10, 12), (6, 8, 3, 3), (6,))),
    "conv_transpose2d": (F.conv_transpose2d, ((2, 8, 5, 6), (8, 3, 4, 4), (3,))),
    "matmul": (torch.matmul, ((2, 3, 4, 5), (2, 3, 5, 7))),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (8,), w, b), ((6, 8), (8,), (8,))),
    "batch_norm": (lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), ((4, 8, 5), (8,), (8,))),
    "gelu": (F.gelu, ((6, 8),)),
    "softmax": (lambda x: F.softmax(x, -1), ((6, 8),)),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), ((2, 3, 8, 8),)),
    "interpolate": (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), ((2, 3, 8, 8),)),
    "cross_entropy": (lambda x: F.cross_entropy(x, torch.arange(6)), ((6, 8),)),
}


def train(name: str) -> None:
    function, shapes = BACKWARD[name]
    function(*(r(*shape).requires_grad_() for shape in shapes)).sum().backward()


@pytest.mark.parametrize("name", BACKWARD)
def test_madds_of_training_are_half_of_what_torch_counts(name: str) -> None:
    with FlopCounterMode(display=False) as counter:
        train(name)
    cost = total(lambda: train(name))
    assert 2 * cost.madds == counter.get_total_flops()
    assert cost.flops > 2 * cost.madds


def test_gradients_of_grouped_convolutions_cost_two_forwards() -> None:
    """FlopCounterMode forgets the groups of the weight's gradient; the products do not depend on who counts them."""
    x, weight = r(2, 8, 10, 10).requires_grad_(), r(8, 1, 3, 3).requires_grad_()
    forward = total(lambda: F.conv2d(x, weight, groups=8))
    both = total(lambda: F.conv2d(x, weight, groups=8).sum().backward())
    assert both.madds == 3 * forward.madds


@st.composite
def equations(draw: st.DrawFn) -> tuple[str, list[Any]]:
    """An einsum of one to three operands over six labels of sizes 1 to 5."""
    sizes = {label: draw(st.sampled_from([1, 2, 3, 5])) for label in "abcdef"}
    terms = draw(
        st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True), min_size=1, max_size=3)
    )
    labels = sorted({label for term in terms for label in term})
    output = draw(st.permutations(labels))[: draw(st.integers(0, len(labels)))]
    operands = [torch.ones([sizes[label] for label in term]) for term in terms]
    return ",".join("".join(term) for term in terms) + "->" + "".join(output), operands


@settings(max_examples=60, deadline=None)
@given(equations())
def test_any_einsum_has_the_madds_that_torch_runs(drawn: tuple[str, list[Any]]) -> None:
    equation, operands = drawn
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        torch.einsum(equation, *operands)
    assert 2 * at_framework_level(lambda: torch.einsum(equation, *operands)).madds == counter.get_total_flops()
