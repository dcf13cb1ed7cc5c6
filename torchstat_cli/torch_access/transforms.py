"""Tensors inside `torch.func` transforms: their plain values, as seen from outside.

Within `vmap`, `grad`, `jacrev` and their like a tensor is a wrapper that lives as long as its transform runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from torchstat_cli.torch_access.internals import (
    is_transformed,
    level_of,
    mapped_axis_of,
    pop_transform,
    push_transform,
    transform_level,
    unwrapped,
)

__all__ = ["current_level", "is_transformed", "plain_value", "standing_at"]


def current_level() -> int:
    """How many transforms are running here, one inside the other; 0 outside of all."""
    return transform_level() or 0


@contextmanager
def standing_at(level: int) -> Iterator[None]:
    """Work as if the transforms deeper than ``level`` were not running."""
    popped = []
    try:
        while current_level() > level:
            popped.append(pop_transform())
        yield
    finally:
        while popped:
            push_transform(popped.pop())


def plain_value(tensor: Tensor, level: int) -> Tensor:
    """What ``tensor`` holds, seen from ``level``: without the wrappers of deeper transforms, mapped axes first.

    A ``vmap`` over 5 that sees (3, 4) gives (5, 3, 4), one inside another vmap over 2 gives (2, 5, 3, 4).
    """
    mapped: list[int] = []  # the position of each mapped axis, innermost transform first
    while is_transformed(tensor) and level_of(tensor) > level:
        axis = mapped_axis_of(tensor)
        if axis >= 0:
            mapped.append(axis)
        tensor = unwrapped(tensor)
    if not mapped:
        return tensor
    # Each axis counts among those that the transforms outside of its own show.
    axes = list(range(tensor.dim()))
    outermost_first = [axes.pop(axis) for axis in reversed(mapped)]
    with standing_at(level):
        return tensor.permute(*outermost_first, *axes)
