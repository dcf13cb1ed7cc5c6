"""Stated answers to questions about values that nobody knows: the last rung before a model cannot be measured.

Each answer comes with words that every report prints. They are upper bounds where a mask selects: everything is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from torchstat_cli.torch_access.internals import OpOverload


@dataclass(frozen=True, slots=True)
class Assumption:
    """An answer and what it takes for granted."""

    result: Any
    words: str


NUMBER_WORDS = "a number read from unknown values is taken as 1"

Rule = Callable[..., Assumption]
_RULES: dict[str, Rule] = {}


def assume(func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Assumption | None:
    """The stated answer of ``func`` on meta tensors of unknown value; None where there is no rule."""
    rule = _RULES.get(f"{func.namespace}::{func._opname}")
    return None if rule is None else rule(*args, **kwargs)


def _rule(*names: str) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        _RULES.update(dict.fromkeys(names, rule))
        return rule

    return register


def _indices(count: int) -> Tensor:
    return torch.empty(count, dtype=torch.int64, device="meta")


@_rule("aten::item", "aten::_local_scalar_dense", "aten::is_nonzero")
def _number(self: Tensor) -> Assumption:
    if self.dtype is torch.bool:
        return Assumption(True, "a yes-or-no question about unknown values is answered yes")
    return Assumption(1.0 if self.dtype.is_floating_point else 1, NUMBER_WORDS)


@_rule("aten::equal", "aten::allclose")
def _equal(self: Tensor, other: Tensor, *rest: Any, **options: Any) -> Assumption:
    return Assumption(True, "tensors of unknown values are taken as equal")


@_rule("aten::nonzero")
def _nonzero(self: Tensor) -> Assumption:
    result = torch.empty(self.numel(), self.dim(), dtype=torch.int64, device="meta")
    return Assumption(result, "every element of an unknown mask is taken as nonzero (an upper bound)")


@_rule("aten::nonzero_numpy")
def _nonzero_numpy(self: Tensor) -> Assumption:
    result = [_indices(self.numel()) for _ in range(max(self.dim(), 1))]
    return Assumption(result, "every element of an unknown mask is taken as nonzero (an upper bound)")


@_rule("aten::where")
def _where(condition: Tensor) -> Assumption:
    return _nonzero_numpy(condition)


@_rule("aten::masked_select")
def _masked_select(self: Tensor, mask: Tensor) -> Assumption:
    count = prod(torch.broadcast_shapes(self.shape, mask.shape))
    return Assumption(self.new_empty(count), "an unknown mask is taken to keep everything (an upper bound)")


@_rule("aten::index")
def _index(self: Tensor, indices: Any) -> Assumption:
    """Each Boolean mask becomes the index of every element that it covers."""
    expanded: list[Tensor | None] = []
    for index in indices:
        if index is not None and index.dtype in (torch.bool, torch.uint8):
            expanded.extend(_indices(index.numel()) for _ in range(index.dim()))
        else:
            expanded.append(index)
    result = torch.ops.aten.index.Tensor(self, expanded)
    return Assumption(result, "an unknown mask is taken to keep everything (an upper bound)")


@_rule("aten::_unique2", "aten::unique_consecutive")
def _unique(self: Tensor, *rest: Any, **options: Any) -> Assumption:
    """One value, so that a loop over the values runs once, over all elements: every mask is taken to keep them all."""
    result = (self.new_empty(min(self.numel(), 1)), _indices(self.numel()).view(self.shape), _indices(1))
    return Assumption(result, "unknown values are taken as all equal")


@_rule("torchvision::nms")
def _nms(dets: Tensor, scores: Tensor, iou_threshold: float) -> Assumption:
    return Assumption(_indices(dets.shape[0]), "non-maximum suppression is taken to keep every box (an upper bound)")
