"""Nested tensors, jagged and strided: counted by the rows they hold, and never in the way of the user's own loop."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import torchstat_cli as ms

pytestmark = pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")

HEADS, WIDTH = 4, 8
LENGTHS = (5, 3)
ROWS = sum(LENGTHS)
PROJECTIONS = 4 * ROWS * (HEADS * WIDTH) ** 2
PRODUCTS = sum(2 * HEADS * length * length * WIDTH for length in LENGTHS)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(32, 32) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            layer(x).unflatten(-1, [HEADS, WIDTH]).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        attended = F.scaled_dot_product_attention(q, k, v)
        return self.out(attended.transpose(1, 2).flatten(-2))  # type: ignore[no-any-return]


class Inside(nn.Module):
    """Makes its nested tensor in forward, as samples of several lengths come to it."""

    def __init__(self, layout: torch.layout, *, summed: bool = False) -> None:
        super().__init__()
        self.layer, self.layout, self.summed = nn.Linear(8, 4), layout, summed

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> Any:
        result = F.relu(self.layer(torch.nested.nested_tensor([a, b], layout=self.layout)))
        return result.sum(-1, keepdim=True) if self.summed else result


def jagged() -> torch.Tensor:
    return torch.nested.nested_tensor([torch.randn(length, 32) for length in LENGTHS], layout=torch.jagged)


@pytest.mark.parametrize("options", [{}, {"device": "cpu"}, {"memory": True}], ids=str)
def test_jagged_attention(options: dict[str, Any]) -> None:
    assert ms.profile(Attention().eval(), jagged(), **options).total.madds == PROJECTIONS + PRODUCTS


def test_training_on_jagged_attention() -> None:
    """Backward takes each product of the attention twice; the input of the first three layers needs no gradient."""
    layer = ROWS * 32 * 32
    expected = (PROJECTIONS + PRODUCTS) + (3 + 2) * layer + 2 * PRODUCTS
    assert ms.profile(Attention(), jagged(), train=True).total.madds == expected


@pytest.mark.parametrize("grad", [True, False])
def test_the_users_own_loop(grad: bool) -> None:
    model, rows = Attention(), jagged()
    with torch.set_grad_enabled(grad):
        expected = model(rows)
        with ms.instrument(model) as capture:
            result = model(rows)
    assert torch.equal(result.values(), expected.values())
    assert capture.profile().total.madds == PROJECTIONS + PRODUCTS


@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
@pytest.mark.parametrize("options", [{}, {"device": "cpu"}], ids=str)
def test_made_inside(layout: torch.layout, options: dict[str, Any]) -> None:
    report = ms.profile(Inside(layout).eval(), torch.randn(3, 8), torch.randn(5, 8), **options)
    assert report.total.madds == ROWS * 8 * 4
    assert not report.total.lower_bound


def test_what_has_no_parts_to_count_makes_a_lower_bound() -> None:
    model = Inside(torch.strided).eval()
    inputs = torch.randn(3, 8), torch.randn(5, 8)

    class Padding(nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return torch.nested.to_padded_tensor(model(a, b), 0.0)

    report = ms.profile(Padding(), *inputs, device="cpu")
    assert report.total.lower_bound or "aten.to_padded_tensor" in {operator.op for operator in report.operators}


def test_strided_inputs_in_a_loop_of_the_users_own() -> None:
    rows = torch.nested.nested_tensor([torch.randn(length, 32) for length in LENGTHS], layout=torch.strided)
    layer = nn.Linear(32, 32)
    with ms.instrument(layer) as capture, torch.no_grad():
        layer(rows)
    assert capture.profile().total.madds == ROWS * 32 * 32
