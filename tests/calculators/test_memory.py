"""Newly allocated bytes, computed by hand."""

from __future__ import annotations

from tests.calculators.making import make_op, tensor
from torchstat_cli.calculators.traffic import allocated


def test_a_fresh_result_allocates_its_storage() -> None:
    assert allocated(make_op("aten.add", tensor(3, 4), self=tensor(3, 4), other=1)) == 48
    assert allocated(make_op("aten.empty", tensor(3, 4, dtype="float64"))) == 96


def test_views_and_in_place_results_allocate_nothing() -> None:
    x = tensor(3, 4)
    assert allocated(make_op("aten.relu_", x, self=x)) == 0
    assert allocated(make_op("aten.permute", tensor(4, 3, like=x), self=x)) == 0


def test_pieces_of_one_new_storage_count_once_and_whole() -> None:
    fresh = tensor(6, 4)
    pieces = [tensor(2, 4, like=fresh, offset=offset) for offset in (0, 8, 16)]
    assert allocated(make_op("mylib.pieces", *pieces, self=tensor(3))) == 96
    assert allocated(make_op("mylib.pieces", pieces[0], self=tensor(3))) == 96


def test_several_results_add_up() -> None:
    assert allocated(make_op("aten.topk", tensor(5), tensor(5, dtype="int64"), self=tensor(9))) == 20 + 40
    assert allocated(make_op("aten._foreach_add_", self=(tensor(3),))) == 0
