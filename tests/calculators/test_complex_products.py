"""A product of two complex numbers is four products and two sums, wherever it happens and at both levels."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import torchstat_cli as ms

LEFT, RIGHT = torch.ones(10, dtype=torch.complex64), torch.ones(12, dtype=torch.complex64)


class Call(nn.Module):
    def __init__(self, body: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.body = body

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.body(left, right)


def both_levels(body: Callable[[Tensor, Tensor], Tensor], left: Tensor, right: Tensor) -> tuple[int, int]:
    model = Call(body)
    with ms.instrument(model) as capture:
        model(left, right)
    return ms.profile(model, left, right).total.flops, capture.profile().total.flops


@pytest.mark.parametrize(
    "body",
    [
        lambda a, b: torch.einsum("i,j->ij", a, b),
        torch.outer,
        torch.ger,
        torch.kron,
        lambda a, b: a[:, None] * b,
        lambda a, b: torch.multiply(a[:, None], b),
    ],
)
def test_outer_products(body: Callable[[Tensor, Tensor], Tensor]) -> None:
    assert both_levels(body, LEFT, RIGHT) == (6 * 120, 6 * 120)
    assert both_levels(body, LEFT.real, RIGHT.real) == (120, 120)


def test_an_einsum_of_three_operands() -> None:
    # first i,j -> ij: 120 products of 6; then ij,j -> i: 120 complex MAdds of 4 real ones, 2 FLOPs each
    assert both_levels(lambda a, b: torch.einsum("i,j,j->i", a, b, b), LEFT, RIGHT)[0] == 720 + 8 * 120


@pytest.mark.parametrize(("values", "parts"), [(LEFT, 2), (LEFT.real, 1)])
def test_isfinite_is_the_same_at_both_levels(values: Tensor, parts: int) -> None:
    # torch compares with itself, takes the absolute value, and compares that with infinity
    assert both_levels(lambda a, b: torch.isfinite(a), values, values) == (30 * parts, 30 * parts)
