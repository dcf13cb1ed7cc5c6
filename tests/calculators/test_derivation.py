"""A formula explains itself: derivations give the number that was counted, and read as people write them."""

from __future__ import annotations

import pytest

from tests.calculators.making import make_op, tensor, worked_out
from torchstat_cli.calculators import builtin_registry
from torchstat_cli.calculators.derivation import Derived, terms, with_names
from torchstat_cli.calculators.traffic import traffic
from torchstat_cli.records import OpRecord

CONV = make_op("aten.conv2d", tensor(1, 8, 6, 6), input=tensor(1, 4, 8, 8), weight=tensor(8, 2, 3, 3), bias=tensor(8))
LINEAR = make_op("aten.linear", tensor(5, 3), input=tensor(5, 4), weight=tensor(3, 4), bias=None)
NORM = make_op("aten.layer_norm", tensor(5, 4), input=tensor(5, 4), normalized_shape=(4,), weight=tensor(4), bias=None)
SDPA = make_op(
    "aten.scaled_dot_product_attention",
    tensor(2, 3, 5, 7),
    query=tensor(2, 3, 5, 4),
    key=tensor(2, 3, 6, 4),
    value=tensor(2, 3, 6, 7),
)
LSTM = make_op(
    "aten.lstm", tensor(10, 2, 5), tensor(1, 2, 5), input=tensor(10, 2, 4), hx=(tensor(1, 2, 5), tensor(1, 2, 5))
)
EINSUM = make_op("aten.einsum", tensor(5, 3), equation="ij,jk->ik", tensors=(tensor(5, 4), tensor(4, 3)))


@pytest.mark.parametrize(
    ("op", "madds", "flops"),
    [
        (CONV, "288 (output) × 2 × 3 × 3 (weight axes 1, 2, 3)", "2 × 5,184 (MAdds) + 288 (output)"),
        (LINEAR, "15 (output) × 4 (input axis 1)", "2 × 60 (MAdds)"),
        (NORM, None, "6 × 20 (input) + 2 × (20 (input) ÷ 4 (normalized_shape))"),
        (EINSUM, "5 (tensors 0 axis 0) × 12 (tensors 1)", "2 × 60 (MAdds)"),
        (make_op("aten.gelu", tensor(5, 4), self=tensor(5, 4)), None, "5 × 20 (output)"),
        (
            make_op("aten._fft_r2c", tensor(6, 5, dtype="complex64"), self=tensor(6, 8), dim=(1,)),
            None,
            "⌈2.5 × 48 (input) × 3⌉",
        ),
        (make_op("aten.topk", tensor(6, 3), tensor(6, 3), self=tensor(6, 10), k=3), None, "2 (⌈log₂ 3⌉) × 60 (input)"),
    ],
)
def test_terms(op: OpRecord, madds: str | None, flops: str) -> None:
    cost = builtin_registry().cost(with_names(op))
    assert cost is not None
    assert terms(cost.madds) == madds
    assert terms(cost.flops, {id(cost.madds): "MAdds"} if cost.madds else {}) == flops


@pytest.mark.parametrize("op", [SDPA, LSTM], ids=["attention", "lstm"])
def test_numbers_by_hand(op: OpRecord) -> None:
    by_hand = {"aten.scaled_dot_product_attention": 2 * 3 * 5 * 6 * (4 + 7), "aten.lstm": 10 * 2 * 4 * 5 * (4 + 5)}
    cost = builtin_registry().cost(with_names(op))
    assert cost is not None
    assert isinstance(cost.madds, Derived)
    assert worked_out(cost.madds) == cost.madds == by_hand[op.name]
    assert terms(cost.madds)


def test_bytes() -> None:
    moved = traffic(with_names(CONV))
    assert terms(moved.read) == "256 (input) × 4 bytes + 144 (weight) × 4 bytes + 8 (bias) × 4 bytes"
    assert terms(moved.written) == "288 (output) × 4 bytes"


def test_a_tensor_that_is_given_twice_counts_once() -> None:
    same = tensor(4, 4)
    op = make_op("aten.mul", tensor(4, 4), self=same, other=same)
    assert traffic(with_names(op)) == traffic(op)
    assert traffic(op).read == 64


def test_signs() -> None:
    n, k = Derived(7, name="n"), Derived(2, name="k")
    assert terms(-(-n // k)) == "⌈7 (n) ÷ 2 (k)⌉"
    assert terms((n - k) * 3) == "(7 (n) - 2 (k)) × 3"
    assert terms(n - (k + 1)) == "7 (n) - (2 (k) + 1)"
    assert terms(sum([n * k] * 3)) == "3 × 7 (n) × 2 (k)"
    assert terms(k**3) == "2 (k) ^ 3"
    assert terms(n * 1 + 0) == "7 (n)"
    assert n * 0 == 0
    assert terms(n * 0) is None
    many = sum((n + index) * k for index in range(50))
    assert (terms(many) or "").count(" + ") < 20
    assert worked_out(many) == many == sum((7 + index) * 2 for index in range(50))
