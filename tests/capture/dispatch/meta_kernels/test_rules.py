"""Every metadata rule gives what torch's own kernel gives, or leaves the call to torch; illegal calls always."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._ops import OpOverload

from tests.capture.answers import answer
from tests.capture.dispatch.meta_kernels.calls import call
from torchstat_cli.capture.dispatch.meta_kernels import CORRECTIONS, RULES, infer
from torchstat_cli.capture.dispatch.meta_kernels.rules import rule

COMPARED = sorted(set(RULES) - CORRECTIONS)
"""The others follow torch's real kernels where its meta kernel does not: see test_attention.py."""


def operator(name: str) -> OpOverload:
    """``aten::add.Tensor`` as torch's object."""
    packet, _, overload = name.removeprefix("aten::").partition(".")
    found: OpOverload = getattr(getattr(torch.ops.aten, packet), overload or "default")
    return found


def disagreement(func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """How the rule's answer differs from torch's; None where it does not, or where the rule gives none."""
    with torch.inference_mode():
        result = infer(func, args, kwargs)
        if result is NotImplemented:
            return None
        try:
            expected = func(*args, **kwargs)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            return f"the rule answers a call that torch refuses: {error}"
    ours, theirs = answer(result, (args, kwargs)), answer(expected, (args, kwargs))
    return None if ours == theirs else f"rule {ours}, torch {theirs}"


@pytest.mark.parametrize("name", sorted(RULES))
def test_rule_names_an_operator(name: str) -> None:
    assert operator(name).name() == name


@pytest.mark.parametrize("name", COMPARED)
@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(random=st.randoms(use_true_random=False))
def test_rule_agrees_with_torch(name: str, random: Random) -> None:
    with torch.inference_mode():
        args, kwargs = call(random, name)
    assert disagreement(operator(name), args, kwargs) is None


@pytest.mark.parametrize("name", [*COMPARED, "aten::_grouped_mm"])
def test_rule_answers_the_plain_case(name: str) -> None:
    """A rule that always leaves the call to torch would agree as well."""
    random, func = Random(0), operator(name)
    assert any(infer(func, *call(random, name)) is not NotImplemented for _ in range(200))


def test_operators_without_a_rule_are_left_to_torch() -> None:
    assert infer(torch.ops.aten.erfinv.default, (torch.empty(3, device="meta"),), {}) is NotImplemented


@pytest.mark.parametrize(
    ("func", "args"),
    [
        (torch.ops.aten.linear.default, ((2, 3), (5, 4))),
        (torch.ops.aten.conv2d.default, ((1, 3, 8, 8), (4, 2, 3, 3))),
        (torch.ops.aten.conv2d.default, ((1, 3, 2, 2), (4, 3, 3, 3))),
        (torch.ops.aten.add.Tensor, ((2, 3), (4,))),
        (torch.ops.aten.mm.default, ((2, 3), (2, 3))),
        (torch.ops.aten.bmm.default, ((2, 3, 4), (3, 4, 5))),
    ],
)
def test_illegal_calls_are_left_to_torch(func: OpOverload, args: tuple[tuple[int, ...], ...]) -> None:
    tensors = tuple(torch.empty(shape, device="meta") for shape in args)
    assert infer(func, tensors, {}) is NotImplemented
    with pytest.raises((RuntimeError, ValueError, TypeError)):
        func(*tensors)


def test_two_rules_for_one_operator_are_refused() -> None:
    with pytest.raises(ValueError, match="two rules for aten::relu"):
        rule("relu")(lambda self: self)


def test_grouped_product_takes_float32_which_torch_refuses_on_meta() -> None:
    """7 rows of width 8 in 2 groups, each through its own 8 x 16 matrix: 7 x 16, as the real kernels give."""
    rows, offsets = torch.empty(7, 8, device="meta"), torch.empty(2, dtype=torch.int32, device="meta")
    result = infer(torch.ops.aten._grouped_mm.default, (rows, torch.empty(2, 8, 16, device="meta"), offsets), {})
    assert (result.shape, result.dtype, result.device.type) == ((7, 16), torch.float32, "meta")
