"""Pairs of an einsum, computed by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calculators.making import cost, tensor
from torchstat_cli.records import Cost


def einsum(equation: str, *shapes: tuple[int, ...], path: Any = None) -> Cost | None:
    operands = tuple(tensor(*shape) for shape in shapes)
    return cost("aten.einsum", tensor(1), equation=equation, tensors=operands, path=path)


@pytest.mark.parametrize(
    ("equation", "shapes", "madds", "beyond"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)], 24, 0),
        ("bhqd,bhkd->bhqk", [(2, 4, 5, 6), (2, 4, 7, 6)], 2 * 4 * 5 * 7 * 6, 0),
        ("...qd,...kd->...qk", [(2, 4, 5, 6), (4, 7, 6)], 2 * 4 * 5 * 7 * 6, 0),
        ("ij,jk", [(2, 3), (3, 4)], 24, 0),  # no arrow: labels that occur once
        ("i,j->ij", [(3,), (4,)], 0, 12),  # nothing is summed: one product each
        ("ij,ij->ij", [(3, 4), (3, 4)], 0, 12),
        ("ij->i", [(3, 4)], 0, 12 - 3),
        ("ij->ji", [(3, 4)], 0, 0),
        ("ii->i", [(4, 4)], 0, 0),
        ("ij,k->k", [(3, 4), (5,)], 0, 11 + 5),  # i and j are summed first, then a product
        ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)], 24 + 40, 0),
        ("b n c , n c o -> b n o", [(2, 3, 4), (3, 4, 5)], 120, 0),
        ("ij,jk->ik", [(1, 3), (3, 4)], 12, 0),
        ("ij,jk->ik", [(2, 1), (1, 4)], 0, 8),  # a summed axis of size 1 is no sum
    ],
)
def test_equations(equation: str, shapes: list[tuple[int, ...]], madds: int, beyond: int) -> None:
    assert einsum(equation, *shapes) == Cost(madds, 2 * madds + beyond)


def test_a_path_changes_the_order() -> None:
    shapes = [(2, 3), (3, 4), (4, 5)]
    assert einsum("ij,jk,kl->il", *shapes, path=(1, 2, 0, 1)) == Cost(60 + 30, 180)


def test_bilinear() -> None:
    given = {"input1": tensor(6, 4), "input2": tensor(6, 5), "weight": tensor(3, 4, 5), "bias": tensor(3)}
    # 18 outputs, each 4*5 products for the first input and 5 for the second
    assert cost("aten.bilinear", tensor(6, 3), **given) == Cost(18 * 25, 18 * 50 + 18)


def test_trilinear_as_bilinear_calls_it() -> None:
    given = {
        "i1": tensor(6, 4),
        "i2": tensor(3, 4, 5),
        "i3": tensor(6, 5),
        "expand1": (1, 3),
        "expand2": (0,),
        "expand3": (1, 2),
        "sumdim": (2, 3),
    }
    assert cost("aten._trilinear", tensor(6, 3), **given) == Cost(6 * 3 * 4 * 5 + 6 * 3 * 5, 2 * 450)
