"""Attention in its plain form, which makes the matrix of scores."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchstat_cli.capture.emulation.attention_backend import taken_on_the_cpu
from torchstat_cli.capture.kernel_steps.table import EVERYWHERE, steps
from torchstat_cli.torch_access.internals import attention_kernel


@steps("_safe_softmax", of=EVERYWHERE)
def safe_softmax(scores: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:
    """A softmax whose rows of -inf alone give zeros: which elements are -inf, then which rows."""
    result = torch.softmax(scores, dim, dtype)
    masked = scores == float("-inf")
    rows = torch.all(masked, dim, keepdim=True)
    return result.masked_fill_(rows, 0)


@steps("scaled_dot_product_attention")
def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """By the CPU's own flash kernel, or where torch takes it in the plain form."""
    call = (query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)
    bias = attn_mask
    if bias is not None and bias.dtype is torch.bool:
        bias = torch.zeros_like(bias, dtype=query.dtype).masked_fill_(bias.logical_not(), float("-inf"))
    if query.numel() and taken_on_the_cpu(*call) == "math":
        options = {"scale": scale, "enable_gqa": enable_gqa}
        return attention_kernel("attention_math")(query, key, value, bias, dropout_p, is_causal, **options)[0]
    kernel = attention_kernel("flash_attention_for_cpu")
    return kernel(query, key, value, 0.0, is_causal, attn_mask=bias, scale=scale)[0]
