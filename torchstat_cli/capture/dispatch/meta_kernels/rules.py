"""The table of rules, and what every rule needs: to recognize the common case, and to make a new tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from torchstat_cli.torch_access.internals import OpOverload

Rule = Callable[..., Any]
RULES: dict[str, Rule] = {}
"""By operator and overload, as in ``aten::add.Tensor``."""

CORRECTIONS: set[str] = set()
"""Rules for operators whose meta kernel differs from the real ones; they hold even where no kernel may be skipped."""


def infer(func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of ``func`` on meta tensors by a rule of ours, or ``NotImplemented``."""
    rule = RULES.get(func.name())
    if rule is None:
        return NotImplemented
    try:
        return rule(*args, **kwargs)
    except (TypeError, IndexError, ValueError, AttributeError, ZeroDivisionError):
        return NotImplemented  # not the plain case; torch's kernel decides, and words the error if it is one


def rule(*names: str, corrects: bool = False) -> Callable[[Rule], Rule]:
    """Decorator: claim operators by their names in aten, as in ``add.Tensor``.

    Args:
        corrects: torch's meta kernel differs from its real ones, which the rule follows.

    Raises:
        ValueError: an operator has a rule already.
    """

    def register(rule: Rule) -> Rule:
        for name in names:
            if f"aten::{name}" in RULES:
                raise ValueError(f"two rules for aten::{name}")
            RULES[f"aten::{name}"] = rule
        if corrects:
            CORRECTIONS.update(f"aten::{name}" for name in names)
        return rule

    return register


def new(shape: tuple[int, ...], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """A fresh tensor, contiguous, of the dtype of ``like`` unless told."""
    return torch.empty(shape, dtype=dtype or like.dtype, device="meta")


def plain(*tensors: Tensor | None) -> bool:
    """Contiguous, and of one floating dtype."""
    given = [tensor for tensor in tensors if tensor is not None]
    dtype = given[0].dtype
    return dtype.is_floating_point and all(t.dtype is dtype and contiguous(t) for t in given)


def contiguous(tensor: Tensor) -> bool:
    """Contiguous, with the strides of a new tensor: axes of one element may have others, which kernels keep."""
    return tensor.is_contiguous() and _usual_strides(tensor)


def _usual_strides(tensor: Tensor) -> bool:
    expected = 1
    for size, stride in zip(reversed(tensor.shape), reversed(tensor.stride()), strict=True):
        if stride != expected:
            return False
        expected *= max(size, 1)
    return True


def per_axis(value: Any, rank: int) -> tuple[int, ...]:
    """One setting for each of ``rank`` axes."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * rank if len(values) == 1 else values


def windows(
    sizes: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[int, ...]:
    """Positions of a sliding window per axis."""
    return tuple(
        (size + 2 * pad - reach * (width - 1) - 1) // step + 1
        for size, width, step, pad, reach in zip(sizes, kernel, stride, padding, dilation, strict=True)
    )
