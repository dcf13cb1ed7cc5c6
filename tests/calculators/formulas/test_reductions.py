"""Reductions and scans, computed by hand."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from tests.calculators.making import flops, tensor

X = tensor(2, 3, 4)  # reduced over the last two axes: 24 elements, 2 results


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sum", 22), ("amax", 22), ("argmin", 22), ("prod", 22), ("mean", 24), ("aminmax", 44), ("nansum", 46),
        ("var", 96), ("var_mean", 96), ("std", 98), ("linalg_vector_norm", 48),
    ],
)  # fmt: skip
def test_reductions(name: str, expected: int) -> None:
    assert flops(f"aten.{name}", tensor(2), self=X, dim=(1, 2)) == expected


@pytest.mark.parametrize(("order", "expected"), [(2, 48), (1, 46), (inf, 46), (-inf, 46), (0, 46), (3, 72), (None, 48)])
def test_norms(order: Any, expected: int) -> None:
    assert flops("aten.linalg_vector_norm", tensor(2), self=X, ord=order, dim=(1, 2)) == expected
    assert flops("aten.norm", tensor(2), self=X, p=order, dim=(1, 2)) == expected


def test_matrix_norms() -> None:
    given = {"self": tensor(5, 3)}
    assert flops("aten.linalg_norm", tensor(), **given, ord=None, dim=None) == 30
    assert flops("aten.linalg_matrix_norm", tensor(), **given, ord="fro", dim=(-2, -1)) == 30
    assert flops("aten.linalg_matrix_norm", tensor(), **given, ord=1, dim=(-2, -1)) == 29
    singular = 4 * 5 * 9 - 4 * 27 // 3
    assert flops("aten.linalg_norm", tensor(), **given, ord=2, dim=None) == singular + 2
    assert flops("aten.nuclear_norm", tensor(), **given) == singular + 2


@pytest.mark.parametrize(("name", "per_element"), [("cumsum", 1), ("cumprod", 1), ("cummax", 1), ("logcumsumexp", 6)])
def test_scans_start_for_free(name: str, per_element: int) -> None:
    assert flops(f"aten.{name}", tensor(2, 3, 4), self=X, dim=1) == per_element * (24 - 8)


def test_an_integer_sum_is_no_flops() -> None:
    assert flops("aten.sum", tensor(2, dtype="int64"), self=tensor(2, 9, dtype="bool"), dim=(1,)) == 0


def test_complex_sums_count_both_parts() -> None:
    assert flops("aten.sum", tensor(2, dtype="complex64"), self=tensor(2, 9, dtype="complex64"), dim=(1,)) == 32


def test_differences_of_higher_order() -> None:
    # 10 values: 9 first differences, 8 second
    assert flops("aten.diff", tensor(8), self=tensor(10), n=2, dim=-1) == 17


def test_norms_of_lists() -> None:
    given = (tensor(3), tensor(2, 4))
    assert flops("aten._foreach_norm", tensor(), tensor(), self=given, ord=2) == 22
    assert flops("aten._foreach_max", tensor(), tensor(), self=given) == 11 - 2


def test_histogram_and_weights() -> None:
    assert flops("aten.histc", tensor(100), self=tensor(10), bins=100) == 40
    assert flops("aten.bincount", tensor(5), self=tensor(9, dtype="int64"), weights=tensor(9)) == 9


def test_empty_reductions() -> None:
    assert flops("aten.sum", tensor(2), self=tensor(2, 0), dim=(1,)) == 0
