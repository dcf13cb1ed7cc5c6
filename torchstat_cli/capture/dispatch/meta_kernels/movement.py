"""Operators that only move data."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor

from torchstat_cli.capture.dispatch.meta_kernels.rules import contiguous, new, rule


@rule("embedding")
def _embedding(weight: Tensor, indices: Tensor, *rest: Any, **options: Any) -> Any:
    if weight.dim() != 2 or indices.dtype not in (torch.int64, torch.int32) or not contiguous(weight):
        return NotImplemented
    return new((*indices.shape, weight.shape[1]), weight)


@rule("cat", "concat", "concatenate")
def _cat(tensors: Any, dim: int = 0) -> Any:
    first = tensors[0]
    axis = dim % first.dim() if -first.dim() <= dim < first.dim() else first.dim()
    same = [(*t.shape[:axis], *t.shape[axis + 1 :]) == (*first.shape[:axis], *first.shape[axis + 1 :]) for t in tensors]
    if axis == first.dim() or not all(same) or not all(t.dim() == first.dim() and contiguous(t) for t in tensors):
        return NotImplemented
    if any(tensor.dtype is not first.dtype for tensor in tensors) or prod(first.shape) == 0:
        return NotImplemented
    return new((*first.shape[:axis], sum(t.shape[axis] for t in tensors), *first.shape[axis + 1 :]), first)


@rule("clone", corrects=True)
def _clone(self: Tensor, *, memory_format: Any = None) -> Any:
    if self.layout is torch.sparse_coo:  # of which torch's kernel keeps no element
        parts = torch.empty_like(self._indices()), torch.empty_like(self._values())
        coalesced = self.is_coalesced()
        return torch.sparse_coo_tensor(*parts, self.shape, is_coalesced=coalesced, check_invariants=False)
    if self.is_quantized or self.is_nested:
        return NotImplemented
    if not contiguous(self) or memory_format not in (None, torch.contiguous_format, torch.preserve_format):
        return NotImplemented
    return new(self.shape, self)
