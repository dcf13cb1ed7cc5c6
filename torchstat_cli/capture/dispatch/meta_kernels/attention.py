"""Scaled dot-product attention, laid out as the fused kernels lay it out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchstat_cli.capture.dispatch.meta_kernels.rules import new, rule


@rule("scaled_dot_product_attention", corrects=True)
def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **options: Any,
) -> Any:
    """The layout that the fused kernels give, the query's; torch's meta kernel lays out what the plain form would."""
    if not query.dtype.is_floating_point or any(t.dtype is not query.dtype or t.dim() != 4 for t in (key, value)):
        return NotImplemented
    if query.dim() != 4 or key.shape[:3] != value.shape[:3] or query.shape[0] != key.shape[0]:
        return NotImplemented
    grouped = bool(options.get("enable_gqa")) and query.shape[1] % key.shape[1] == 0
    if query.shape[3] != key.shape[3] or (query.shape[1] != key.shape[1] and not grouped):
        return NotImplemented
    if attn_mask is not None and not _masks(attn_mask, (*query.shape[:3], key.shape[2])):
        return NotImplemented
    if any(t.stride(3) != 1 for t in (query, key, value)) or 0 in (*query.shape, *key.shape):
        return NotImplemented  # not fused
    if dropout_p == 0 and value.shape[3] == query.shape[3] and (attn_mask is None or attn_mask.dim() in (2, 4)):
        return _like(query)
    return new((*query.shape[:3], value.shape[3]), query)


def _like(tensor: Tensor) -> Tensor:
    """A new tensor with the strides of a dense ``tensor``; torch's own ``empty_like`` on meta may change some."""
    by_stride = sorted(range(tensor.dim()), key=tensor.stride, reverse=True)
    if tensor.permute(by_stride).is_contiguous():
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    return torch.empty_like(tensor)


def _masks(mask: Tensor, scores: tuple[int, ...]) -> bool:
    """Whether ``mask`` broadcasts over the scores."""
    sizes = zip(reversed(mask.shape), reversed(scores), strict=False)
    return 2 <= mask.dim() <= 4 and all(size in (1, wanted) for size, wanted in sizes)
