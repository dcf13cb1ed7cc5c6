"""Random tensors on meta: any shape, any dtype, any layout that models make."""

from __future__ import annotations

from random import Random

import torch
from torch import Tensor

_DTYPES = (*[torch.float32] * 7, torch.bfloat16, torch.float64, torch.int64, torch.bool, torch.complex64)


def shape(random: Random, least: int = 0, most: int = 5) -> list[int]:
    """Sizes of 1 and 0 come often: that is where strides are ambiguous."""
    return [random.choice((1, 1, 2, 3, 4, 6, 8, 0)) for _ in range(random.randint(least, most))]


def dtype(random: Random) -> torch.dtype:
    """One dtype for all tensors of a call, mostly a plain one."""
    return random.choice((*[torch.float32] * 8, torch.bfloat16, torch.int64))


def tensor(random: Random, sizes: list[int], kind: torch.dtype | None = None) -> Tensor:
    """Half of them contiguous, the rest permuted, strided, offset, expanded or with idle strides of their own."""
    kind = kind or random.choice(_DTYPES)
    make = random.choice((*[_contiguous] * 5, _permuted, _every_second, _offset, _expanded, _idle_strides))
    return make(random, sizes, kind)


def near(random: Random, size: int) -> int:
    """``size``, or seldom one more: an illegal call in waiting."""
    return size + random.choice((*[0] * 18, 1))


def either(random: Random, value: Tensor) -> Tensor | None:
    """An optional argument."""
    return random.choice((value, value, None))


def broadcastable(random: Random, sizes: list[int]) -> list[int]:
    """Sizes that broadcast to ``sizes``, with axes missing or of size 1; seldom sizes that do not."""
    kept = sizes[random.randint(0, 1) :] if sizes else sizes
    return [random.choice((size, size, size, 1)) if size == near(random, size) else size + 1 for size in kept]


def _contiguous(random: Random, sizes: list[int], kind: torch.dtype) -> Tensor:
    return torch.empty(sizes, dtype=kind, device="meta")


def _permuted(random: Random, sizes: list[int], kind: torch.dtype) -> Tensor:
    axes = list(range(len(sizes)))
    random.shuffle(axes)
    made = torch.empty([sizes[axis] for axis in axes], dtype=kind, device="meta")
    return made.permute([axes.index(axis) for axis in range(len(sizes))])


def _every_second(random: Random, sizes: list[int], kind: torch.dtype) -> Tensor:
    if not sizes:
        return _contiguous(random, sizes, kind)
    axis = random.randrange(len(sizes))
    wider = [2 * size if position == axis else size for position, size in enumerate(sizes)]
    return torch.empty(wider, dtype=kind, device="meta")[(*[slice(None)] * axis, slice(None, None, 2))]


def _offset(random: Random, sizes: list[int], kind: torch.dtype) -> Tensor:
    if not sizes:
        return _contiguous(random, sizes, kind)
    axis = random.randrange(len(sizes))
    wider = [size + 1 if position == axis else size for position, size in enumerate(sizes)]
    return torch.empty(wider, dtype=kind, device="meta")[(*[slice(None)] * axis, slice(1, None))]


def _expanded(random: Random, sizes: list[int], kind: torch.dtype) -> Tensor:
    narrow = [random.choice((1, size)) for size in sizes]
    return torch.empty(narrow, dtype=kind, device="meta").expand(sizes)


def _idle_strides(random: Random, sizes: list[int], kind: torch.dtype) -> Tensor:
    """An axis of one element may have any stride: permuting and slicing leave such behind."""
    plain = torch.empty(sizes, dtype=kind, device="meta")
    strides = [
        random.choice((0, 1, 7, 100)) if size == 1 else stride
        for size, stride in zip(sizes, plain.stride(), strict=True)
    ]
    return torch.empty_strided(sizes, strides, dtype=kind, device="meta")
