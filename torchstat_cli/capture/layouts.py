"""How torch reads the strides of a tensor."""

from __future__ import annotations

from collections.abc import Sequence


def channels_last(shape: Sequence[int], stride: Sequence[int]) -> bool:
    """Whether torch takes a tensor of 4 or 5 axes to have its channels last; where both orders fit, it does not."""
    if len(shape) not in (4, 5) or not stride[1]:
        return False
    least = 0
    for axis in (1, *range(len(shape) - 1, 1, -1), 0):
        if not shape[axis] or stride[axis] < least or (axis == 0 and least == stride[1]):
            return False
        least = stride[axis] * max(1, shape[axis])
    return True
