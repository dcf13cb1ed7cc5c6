"""Models that differentiate in their forward pass cost what they do under ``no_grad``: 3x4 @ 4x4 is 48 MAdds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad, functional

import torchstat_cli as ms
from torchstat_cli.capture.autograd import Gradients, with_gradients_as_needed

X = torch.ones(3, 4)
PRODUCT = 3 * 4 * 4


class Runs(nn.Module):
    """One layer, and a function that uses it."""

    def __init__(self, function: Callable[[nn.Module, Tensor], Any]) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4, bias=False)
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(self.layer, x)


def tangents(layer: nn.Module, x: Tensor) -> Any:
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x.clone(), torch.ones_like(x))
        return forward_ad.unpack_dual(torch.tanh(layer(dual))).tangent.clone()  # None under inference mode


def jacobian(layer: nn.Module, x: Tensor) -> Any:
    return functional.jacobian(layer, x[0])  # one row: forward, and a product for each of four outputs


def pulled_back(layer: nn.Module, x: Tensor) -> Any:
    hidden = layer(x)
    output, back = torch.func.vjp(lambda y: torch.tanh(layer(y)) * hidden, hidden)
    return back(output)[0]


def forces(layer: nn.Module, x: Tensor) -> Any:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        return torch.autograd.grad(layer(x).sum(), x)[0]


def forces_with_gradients_of_the_caller(layer: nn.Module, x: Tensor) -> Any:
    x = x.detach().requires_grad_()
    return torch.autograd.grad(layer(x).sum(), x)[0]


def learning(layer: nn.Module, x: Tensor) -> Any:
    with torch.set_grad_enabled(True):
        layer(x).sum().backward()  # of the weight alone
    return x


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize(
    ("function", "madds"),
    [
        (jacobian, 5 * 4 * 4),
        (pulled_back, 3 * PRODUCT),
        (forces, 2 * PRODUCT),
        (forces_with_gradients_of_the_caller, 2 * PRODUCT),
        (learning, 2 * PRODUCT),
    ],
)
def test_what_they_count(function: Callable[[nn.Module, Tensor], Any], madds: int, device: str) -> None:
    model = Runs(function)
    report = ms.profile(model, X, device=device, memory=True)
    assert (report.total.madds, report.unknown) == (madds, ())
    assert model.layer.weight.grad is None
    if device == "cpu":
        assert report.memory is not None
        assert report.memory.measured == report.total.peak


@pytest.mark.filterwarnings("ignore:.*torch.jit")  # torch makes its own formulas with it
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_forward_mode_is_run(device: str) -> None:
    """The layer and its tangent at the least; torch multiplies zeros of the weight's tangent as well."""
    assert ms.profile(Runs(tangents), X, device=device).total.madds >= 2 * PRODUCT


def test_no_more_of_autograd_than_needed() -> None:
    tried: list[Gradients] = []

    def run(function: Callable[[], object]) -> list[Gradients]:
        def attempt(gradients: Gradients) -> None:
            tried.append(gradients)
            with gradients.mode():
                function()

        tried.clear()
        with_gradients_as_needed(attempt)
        return tried

    layer = nn.Linear(4, 4)
    assert run(lambda: layer(X)) == [Gradients.INFERENCE]
    with_gradients_off = torch.set_grad_enabled
    assert run(lambda: with_gradients_off(False)) == [Gradients.INFERENCE]
    assert run(lambda: forces(layer, X)) == [Gradients.INFERENCE, Gradients.ON_REQUEST]
    bare = run(lambda: forces_with_gradients_of_the_caller(layer, X))
    assert bare == [Gradients.INFERENCE, Gradients.ON_REQUEST, Gradients.ALWAYS]


def test_other_errors_are_raised_at_once() -> None:
    tried: list[Gradients] = []

    def attempt(gradients: Gradients) -> None:
        tried.append(gradients)
        raise ValueError("no such layer")

    with pytest.raises(ValueError, match="no such layer"):
        with_gradients_as_needed(attempt)
    assert tried == [Gradients.INFERENCE]
