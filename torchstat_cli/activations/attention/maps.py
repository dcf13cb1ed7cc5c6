"""Compute the attention map that a fused kernel never shows: softmax(Q Kᵀ · scale + mask)."""

from __future__ import annotations

import inspect
import math
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torchstat_cli.activations.attention.subset import MapSubset, chosen


@torch.no_grad()
def fused_map(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
    subset: MapSubset | None = None,
) -> Tensor:
    """The map of one ``scaled_dot_product_attention`` call, with that function's arguments; before dropout.

    ``query`` is (…, heads, queries, width), ``key`` (…, key heads, keys, width). The result is
    (…, heads, queries, keys) in the query's dtype, with only the heads, queries and keys of ``subset``. It is computed
    in float32 (in float64 where the query is), also under autocast.
    """
    subset = subset or MapSubset()
    if enable_gqa:
        # Grouped queries: each key head serves the same number of consecutive query heads.
        key = key.repeat_interleave(query.size(-3) // key.size(-3), dim=-3)
    bias = _bias(query, key, attn_mask, is_causal)
    if query.dim() > 3:
        # An axis of one serves all heads.
        query, key, bias = (_of_many(tensor, -3, subset.heads) for tensor in (query, key, bias))  # type: ignore[assignment]
    query = chosen(query, -2, subset.queries)
    bias = _of_many(bias, -2, subset.queries)
    # Half precision overflows before the softmax; kernels accumulate in float32 too.
    precise = query.dtype if query.dtype == torch.float64 else torch.float32
    factor = 1.0 / math.sqrt(query.size(-1)) if scale is None else scale
    kind = query.device.type
    with torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext():
        scores = (query.to(precise) * factor) @ key.to(precise).transpose(-2, -1)
        if bias is not None:
            scores = scores + bias.to(precise)
        # A row whose every key is masked has no distribution; the kernels return zeros there.
        masked_out = scores.isneginf().all(dim=-1, keepdim=True)
        maps = scores.softmax(dim=-1).masked_fill(masked_out, 0.0).to(query.dtype)
    return chosen(maps, -1, subset.keys)


def _of_many(tensor: Tensor | None, dim: int, subset: Any) -> Tensor | None:
    """The wanted entries along ``dim``; all of it where that axis is missing or serves every index alike."""
    if tensor is None or tensor.dim() < -dim or (dim == -3 and tensor.dim() < 3) or tensor.size(dim) == 1:
        return tensor
    return chosen(tensor, dim, subset)


def _bias(query: Tensor, key: Tensor, attn_mask: Tensor | None, is_causal: bool) -> Tensor | None:
    """Mask and causal flag as one additive term, None where nothing is masked."""
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        zeros = torch.zeros(attn_mask.shape, device=query.device)
        attn_mask = zeros.masked_fill(~attn_mask, -math.inf)
    if is_causal:
        allowed = torch.ones(query.size(-2), key.size(-2), dtype=torch.bool, device=query.device).tril()
        causal = torch.zeros(allowed.shape, device=query.device).masked_fill(~allowed, -math.inf)
        attn_mask = causal if attn_mask is None else attn_mask + causal
    return attn_mask


@torch.no_grad()
def multihead_map(module: nn.MultiheadAttention, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """The map of one ``nn.MultiheadAttention`` call, (batch, heads, queries, keys); before dropout.

    The module is asked a second time, for weights per head, so that the first answer stays untouched to the last bit.
    """
    dropout = module.dropout
    wanted = {**kwargs, "need_weights": True, "average_attn_weights": False}
    positional = args[:4] + args[5:6]  # query, key, value, key_padding_mask, attn_mask; need_weights lies between
    names = ("query", "key", "value", "key_padding_mask", "attn_mask")
    wanted.update(zip(names, positional, strict=False))
    if len(args) > 7:
        wanted["is_causal"] = args[7]
    try:
        module.dropout = 0.0
        # Straight to the class: neither this hook nor anybody else's fires again.
        maps: Tensor = nn.MultiheadAttention.forward(module, **wanted)[1]  # type: ignore[assignment]
    finally:
        module.dropout = dropout
    return _batched(maps)


@torch.no_grad()
def multihead_function_map(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """The map of one ``F.multi_head_attention_forward`` call, (batch, heads, queries, keys); before dropout."""
    call = inspect.signature(F.multi_head_attention_forward).bind(*args, **kwargs)
    call.arguments.update(need_weights=True, average_attn_weights=False, training=False)
    maps: Tensor = F.multi_head_attention_forward(*call.args, **call.kwargs)[1]  # type: ignore[assignment]
    return _batched(maps)


def _batched(maps: Tensor) -> Tensor:
    """torch leaves the batch out where the query has none."""
    return maps if maps.dim() > 3 else maps.unsqueeze(0)
