"""Comparisons of sorts and searches, computed by hand."""

from __future__ import annotations

import pytest

from tests.calculators.making import flops, tensor


@pytest.mark.parametrize(("length", "comparisons"), [(1, 0), (2, 1), (8, 3), (9, 4)])
def test_sort(length: int, comparisons: int) -> None:
    assert flops("aten.sort", tensor(5, length), self=tensor(5, length), dim=-1) == 5 * length * comparisons


@pytest.mark.parametrize(("k", "comparisons"), [(1, 1), (2, 1), (5, 3), (8, 3)])
def test_topk(k: int, comparisons: int) -> None:
    assert flops("aten.topk", tensor(5, k), self=tensor(5, 100), k=k) == 500 * comparisons


def test_axes_and_wholes() -> None:
    assert flops("aten.msort", tensor(8, 3), self=tensor(8, 3)) == 24 * 3
    assert flops("aten.median", tensor(), self=tensor(8, 4)) == 32 * 5
    assert flops("aten.median", tensor(8), self=tensor(8, 4), dim=1) == 32 * 2
    assert flops("aten._unique2", tensor(3), self=tensor(8)) == 8 * 4


def test_searches() -> None:
    assert flops("aten.searchsorted", tensor(6, dtype="int64"), sorted_sequence=tensor(7), self=tensor(6)) == 18
    assert flops("aten.bucketize", tensor(6, dtype="int64"), self=tensor(6), boundaries=tensor(8)) == 24
    assert flops("aten.isin", tensor(6, dtype="bool"), elements=tensor(6), test_elements=tensor(7)) == 39


def test_integers_are_sorted_for_free() -> None:
    whole = tensor(8, dtype="int64")
    assert flops("aten.sort", whole, self=whole, dim=-1) == 0
