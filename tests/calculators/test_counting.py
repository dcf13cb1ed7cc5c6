"""The helpers that the formulas count with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.calculators.making import make_op, tensor
from torchstat_cli.calculators.counting import (
    axes,
    broadcast,
    ceil_div,
    ceil_log2,
    contraction,
    first_tensor,
    length_along,
    tensors_of,
)
from torchstat_cli.records import Cost


@given(st.integers(1, 10**9))
def test_ceil_log2_is_the_least_power_that_holds(value: int) -> None:
    power = ceil_log2(value)
    assert 2**power >= value
    assert power == 0 or 2 ** (power - 1) < value


@given(st.integers(0, 10**6), st.integers(1, 1000))
def test_ceil_div_rounds_up(value: int, by: int) -> None:
    assert (ceil_div(value, by) - 1) * by < value <= ceil_div(value, by) * by


@given(st.integers(0, 10**15), st.integers(0, 10**15), st.booleans())
def test_flops_of_a_contraction_are_at_least_twice_its_madds(products: int, extra: int, is_complex: bool) -> None:
    op = make_op("mylib.product", tensor(3, dtype="complex64" if is_complex else "float32"))
    found = contraction(op, products, extra)
    assert found.madds == products * (4 if is_complex else 1)
    assert found.flops >= 2 * found.madds


@pytest.mark.parametrize(
    ("dim", "rank", "expected"),
    [(None, 3, (0, 1, 2)), ((), 2, (0, 1)), ([], 2, (0, 1)), (-1, 3, (2,)), ((-1, 0), 3, (2, 0)), (0, 0, (0,))],
)
def test_axes(dim: object, rank: int, expected: tuple[int, ...]) -> None:
    assert axes(dim, rank) == expected


def test_length_along() -> None:
    assert length_along((2, 3, 4), (0, -1)) == 8
    assert length_along((2, 3, 4), None) == 24
    assert length_along((), -1) == 1


def test_broadcast() -> None:
    assert broadcast((2, 1, 4), (3, 1), ()) == (2, 3, 4)
    assert broadcast((0, 1), (1, 5)) == (0, 5)
    assert broadcast() == ()


def test_first_tensor_names_what_is_missing() -> None:
    x = tensor(3)
    assert first_tensor(make_op("mylib.op", input=x), "self", "input") is x
    with pytest.raises(KeyError, match="self or input"):
        first_tensor(make_op("mylib.op", other=x), "self", "input")


def test_tensors_of_takes_one_several_or_none() -> None:
    x, y = tensor(3), tensor(4)
    op = make_op("mylib.op", one=x, many=(x, None, y), number=3, nothing=None)
    assert [tensors_of(op, name) for name in ("one", "many", "number", "nothing", "absent")] == [
        (x,),
        (x, y),
        (),
        (),
        (),
    ]


def test_costs_add() -> None:
    assert Cost(1, 2) + Cost(10, 20) == Cost(11, 22)
