"""Operators that take functions cost what their functions do: a 3x4 @ 4x4 product is 48 MAdds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._higher_order_ops import map as map_operator
from torch._higher_order_ops import scan, while_loop
from torch._ops import HigherOrderOperator
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

import torchstat_cli as ms
from torchstat_cli.errors import PlacementError

X = torch.ones(3, 4)
PRODUCT = 3 * 4 * 4


class Runs(nn.Module):
    """One layer and two, and a function that runs them."""

    def __init__(self, function: Callable[[Any, Tensor], Any]) -> None:
        super().__init__()
        self.one = nn.Linear(4, 4, bias=False)
        self.two = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def known_branch(self: Any, x: Tensor) -> Any:
    return torch.cond(x.sum() > 20, self.one, self.two, (x,))  # twelve ones: no


def three_rounds(self: Any, x: Tensor) -> Any:
    start = torch.tensor(0, device=x.device), x
    return while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, self.one(x)), start)[1]


def three_steps(self: Any, x: Tensor) -> Any:
    return scan(lambda carry, row: (carry + self.one(row), row.clone()), torch.zeros(4, device=x.device), x)


def each_row(self: Any, x: Tensor) -> Any:
    return map_operator(self.one, x)


def mapped(self: Any, x: Tensor) -> Any:
    return torch.vmap(self.one)(x)


def gradient(self: Any, x: Tensor) -> Any:
    return torch.func.grad(lambda given: self.one(given).sum())(x)  # of the input: forward and one product back


def recomputed(self: Any, x: Tensor) -> Any:
    return torch.utils.checkpoint.checkpoint(self.two, x, use_reentrant=False)


def in_bfloat16(self: Any, x: Tensor) -> Any:
    with torch.autocast("cpu", torch.bfloat16):
        return self.one(x)


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize(
    ("function", "madds"),
    [
        (known_branch, 2 * PRODUCT),
        (three_rounds, 3 * PRODUCT),
        (three_steps, PRODUCT),
        (each_row, PRODUCT),
        (mapped, PRODUCT),
        (gradient, 2 * PRODUCT),
        (recomputed, 2 * PRODUCT),
        (in_bfloat16, PRODUCT),
    ],
)
def test_counted_by_their_parts(function: Callable[[Any, Tensor], Any], madds: int, device: str) -> None:
    report = ms.profile(Runs(function), X, device=device)
    assert (report.total.madds, report.unknown) == (madds, ())
    assert report.provenance.assumptions == ()


@pytest.mark.parametrize("device", ["auto", "cpu"])
@pytest.mark.parametrize(
    ("function", "products"),
    [
        (known_branch, 2 + 2 + 1),  # forward; two weights; the input of the second layer
        (three_rounds, 3 + 3 + 2),
        (three_steps, 1 + 1),
        (each_row, 1 + 1),
    ],
)
def test_what_they_train(function: Callable[[Any, Tensor], Any], products: int, device: str) -> None:
    report = ms.profile(Runs(function), X, train=True, device=device)
    assert (report.total.madds, report.unknown) == (products * PRODUCT, ())


@pytest.mark.parametrize("function", [known_branch, three_rounds, three_steps, each_row])
def test_weights_that_a_branch_or_loop_closes_over_learn_in_an_observed_loop(
    function: Callable[[Any, Tensor], Any],
) -> None:
    model = Runs(function)
    call = HigherOrderOperator.__call__
    with ms.instrument(model):
        result = model(X)
        sum(part.sum() for part in (result if isinstance(result, tuple) else (result,))).backward()
    learnt = model.two if function is known_branch else model.one
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in learnt.parameters())
    assert HigherOrderOperator.__call__ is call


def test_the_work_lands_on_the_modules_that_do_it() -> None:
    report = ms.profile(Runs(known_branch), X)
    assert [report.at(path).madds for path in ("one", "two", "two.1")] == [0, 2 * PRODUCT, PRODUCT]


def test_a_loop_without_a_known_end_runs_once_and_says_so() -> None:
    def until_small(self: Any, x: Tensor) -> Any:
        return while_loop(lambda x: self.one(x).sum() > 1, lambda x: (self.two(x),), (x,))[0]

    report = ms.profile(Runs(until_small), X, device="meta")
    assert report.total.madds == (1 + 2 + 1) * PRODUCT
    assert "a loop whose condition is unknown is taken to run once" in report.provenance.assumptions


def test_a_plain_loop_without_a_known_end_is_refused() -> None:
    def until_small(self: Any, x: Tensor) -> Any:
        while (x > 1).all():
            x = self.one(x)
        return x

    with pytest.raises(PlacementError, match="meta tensors have none") as caught:
        ms.profile(Runs(until_small).to("meta"), X.to("meta"), device="meta")
    assert caught.value.hint == "build the model on the CPU: it lies on meta and has no values"


class Flexible(nn.Module):
    def __init__(self, masked: bool) -> None:
        super().__init__()
        self.masked = masked

    def forward(self, x: Tensor) -> Any:
        length = x.shape[-2]
        mask = None
        if self.masked:
            mask = create_block_mask(lambda b, h, i, j: i >= j, None, None, length, length, device=x.device)
        return flex_attention(x, x, x, block_mask=mask)


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("masked", [False, True])
def test_flexible_attention_counts_every_score(masked: bool, device: str) -> None:
    """As with scaled dot-product attention, masked scores are not discounted."""
    report = ms.profile(Flexible(masked), torch.ones(1, 2, 128, 16), device=device)
    assert report.total.madds == 2 * (2 * 128 * 128 * 16)  # two heads; scores, and their product with the values
    assert report.unknown == ()


class Newer(HigherOrderOperator):
    """torch's ``map_impl`` with an argument that nobody knows yet."""

    def __init__(self) -> None:
        super().__init__("map_of_a_newer_torch")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return super().__call__(*args, **kwargs)

    def name(self) -> str:
        return "map_impl"


NEWER = Newer()


@NEWER.py_impl(torch._C.DispatchKey.CompositeExplicitAutograd)
def _whole(function: Callable[[Tensor], Any], rows: Any, rest: Any, **options: Any) -> Any:
    return (torch.stack([function(row)[0] for row in rows[0]]),)


NEWER.py_impl(torch._C.DispatchKey.AutogradCPU)(_whole)
NEWER.py_impl(torch._C.DispatchKey.AutogradMeta)(_whole)


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize(
    ("options", "known"),
    [
        ({}, True),
        ({"mutated_arg_indices": "0"}, True),  # the parts write where they write
        ({"order": None, "tags": (), "reverse": False}, True),
        ({"order": "backwards"}, False),
    ],
)
def test_arguments_that_newer_torch_adds(options: dict[str, Any], known: bool, device: str) -> None:
    """Those that ask for nothing are left out; for others nobody knows what they do, so nothing is counted as known."""

    def rows(self: Any, x: Tensor) -> Any:
        return NEWER(lambda row: (self.one(row),), (x,), (), **options)[0]

    with torch.no_grad():
        report = ms.profile(Runs(rows), X, device=device)
    if known:
        assert (report.total.madds, report.unknown) == (PRODUCT, ())
    else:
        assert "higher_order.map_impl" in [unknown.op for unknown in report.unknown]
