"""Operations per element, and the arguments that change them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calculators.making import cost, flops, make_op, tensor
from torchstat_cli.calculators import builtin_registry
from torchstat_cli.records import Cost

N = 12
X = tensor(3, 4)


@pytest.mark.parametrize(
    ("name", "per_element"),
    [
        ("relu", 1), ("sigmoid", 1), ("tanh", 1), ("exp", 1), ("rsqrt", 1), ("pow", 1), ("div", 1), ("neg", 1),
        ("gt", 1), ("maximum", 1), ("clamp_min", 1), ("relu6", 2), ("hardtanh", 2), ("hardsigmoid", 4),
        ("hardswish", 5), ("leaky_relu", 2), ("prelu", 2), ("elu", 3), ("silu", 2), ("gelu", 5), ("softplus", 3),
        ("mish", 4), ("glu", 2), ("lerp", 3), ("addcmul", 2), ("addcdiv", 2), ("log_sigmoid", 6), ("where", 0),
        ("masked_fill", 0), ("clone", 0), ("_to_copy", 0), ("cat", 0), ("embedding", 0), ("bernoulli", 0),
        ("sigmoid_backward", 3), ("tanh_backward", 3), ("silu_backward", 6), ("gelu_backward", 11),
        ("threshold_backward", 1), ("hardswish_backward", 5), ("softplus_backward", 5), ("native_dropout_backward", 2),
    ],
)  # fmt: skip
def test_operations_per_output_element(name: str, per_element: int) -> None:
    assert flops(f"aten.{name}", tensor(3, 4), self=X) == per_element * N


@pytest.mark.parametrize(
    ("name", "options", "per_element"),
    [
        ("add", {"alpha": 1}, 1),
        ("add", {"alpha": 0.5}, 2),
        ("rsub", {"alpha": 2}, 2),
        ("clamp", {"min": 0.0, "max": None}, 1),
        ("clamp", {"min": 0.0, "max": 1.0}, 2),
        ("clamp", {"min": tensor(3, 4), "max": tensor(3, 4)}, 2),
        ("gelu", {"approximate": "none"}, 5),
        ("gelu", {"approximate": "tanh"}, 9),
        ("gelu_backward", {"approximate": "tanh"}, 18),
        ("softplus", {"beta": 1}, 3),
        ("softplus", {"beta": 2}, 5),
        ("elu", {"alpha": 1.67, "scale": 1.05, "input_scale": 1}, 4),
        ("addcmul", {"value": 1}, 2),
        ("addcdiv", {"value": -0.1}, 3),
        ("logit", {"eps": None}, 3),
        ("logit", {"eps": 1e-3}, 5),
        ("dropout", {"p": 0.5, "train": False}, 0),
        ("dropout", {"p": 0.5, "train": True}, 2),
        ("dropout", {"p": 0.0, "train": True}, 0),
        ("native_dropout", {"p": 0.5, "train": None}, 2),
    ],
)
def test_arguments_change_the_count(name: str, options: dict[str, Any], per_element: int) -> None:
    assert flops(f"aten.{name}", tensor(3, 4), self=X, **options) == per_element * N


@pytest.mark.parametrize(("mode", "per_element"), [(None, 1), ("floor", 2), ("trunc", 2)])
def test_rounded_division(mode: str | None, per_element: int) -> None:
    op = make_op("aten.div", tensor(3, 4), overload="Tensor_mode", self=X, rounding_mode=mode)
    assert builtin_registry().cost(op) == Cost(flops=per_element * N)


def test_feature_alpha_dropout_draws_one_value_per_channel() -> None:
    given = {"input": tensor(2, 3, 5, 5), "p": 0.5, "train": True}
    assert flops("aten.feature_alpha_dropout", tensor(2, 3, 5, 5), **given) == 2 * 150 + 4 * 6
    assert flops("aten.alpha_dropout", tensor(2, 3, 5, 5), **given) == 6 * 150


def test_the_broadcast_output_counts() -> None:
    assert flops("aten.add", tensor(5, 3, 4), self=tensor(3, 4), other=tensor(5, 1, 1), alpha=1) == 60


def test_comparisons_of_floats_count_and_of_integers_do_not() -> None:
    assert flops("aten.eq", tensor(3, 4, dtype="bool"), self=X, other=X) == N
    whole = tensor(3, 4, dtype="int64")
    assert flops("aten.eq", tensor(3, 4, dtype="bool"), self=whole, other=whole) == 0
    assert flops("aten.add", whole, self=whole, other=whole, alpha=3) == 0


def test_a_maximum_of_two_is_elementwise_and_of_one_a_reduction() -> None:
    pair = make_op("aten.max", tensor(3, 4), overload="other", self=X, other=X)
    assert builtin_registry().cost(pair) == Cost(flops=N)
    along = make_op("aten.max", tensor(3), tensor(3, dtype="int64"), overload="dim", self=X, dim=1)
    assert builtin_registry().cost(along) == Cost(flops=N - 3)


def test_complex_numbers() -> None:
    z = tensor(3, 4, dtype="complex64")
    assert flops("aten.add", z, self=z, other=z, alpha=1) == 2 * N
    assert flops("aten.mul", z, self=z, other=z) == 6 * N
    assert flops("aten.mul", z, self=z, other=X) == 2 * N
    assert flops("aten.exp", z, self=z) == 2 * N
    assert flops("aten.polar", z, abs=X, angle=X) == 4 * N


@pytest.mark.parametrize(("name", "overload"), [("aten.relu_", "default"), ("aten.relu", "out")])
def test_in_place_and_out_variants_cost_the_same(name: str, overload: str) -> None:
    op = make_op(name, tensor(3, 4), overload=overload, self=X)
    assert builtin_registry().cost(op) == Cost(flops=N)


def test_glu_backward_counts_gates() -> None:
    assert flops("aten.glu_backward", tensor(3, 8), grad_output=tensor(3, 4), self=tensor(3, 8)) == 5 * N


def test_equal_returns_no_tensor() -> None:
    assert cost("aten.equal", self=X, other=X) == Cost(flops=N)
