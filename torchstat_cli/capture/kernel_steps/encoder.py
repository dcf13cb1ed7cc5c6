"""torch's fused multi-head attention and encoder layer, which ``nn`` takes in eval without gradients.

They make the whole matrix of scores, on the CPU always, and on a GPU where its attention kernels cannot do the call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from torchstat_cli.capture.kernel_steps.table import steps

_ALIGNMENT = 8  # the fused kernels of a GPU want heads of a multiple of it


@steps("_native_multi_head_attention", of=("cpu", "gpu math"))
def multi_head_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim: int,
    num_head: int,
    qkv_weight: Tensor,
    qkv_bias: Tensor,
    proj_weight: Tensor,
    proj_bias: Tensor,
    mask: Tensor | None = None,
    need_weights: bool = True,
    average_attn_weights: bool = True,
    mask_type: int | None = None,
) -> tuple[Tensor, Tensor | None]:
    """Projections in one product, scores, their softmax, and the context written over the queries."""
    batch, length, width = query.shape
    head = width // num_head
    packed = torch.matmul(query, qkv_weight.t())
    split = torch.empty(3 * batch * num_head, length, head, dtype=query.dtype, device="meta")
    del packed
    rows = batch * num_head
    queries, keys, values = split[:rows], split[rows : 2 * rows], split[2 * rows :]
    scores = torch.bmm(queries, keys.transpose(1, 2)).view(batch, num_head, length, length)
    if mask is not None:
        as_bool = mask.to(torch.bool)
        scores = _masked_softmax(scores, as_bool)
        del as_bool
    torch.bmm(scores.view(rows, length, length), values, out=queries)
    if not need_weights:
        del scores
    merged = queries.view(batch, num_head, length, head).permute(0, 2, 1, 3).contiguous()
    projected = F.linear(merged.view(batch, length, width), proj_weight, proj_bias)
    del merged
    if not need_weights:
        return projected, None
    return projected, scores.sum(1).div_(num_head) if average_attn_weights else scores


def _masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    if mask.dim() == 2 and mask.shape[0] == scores.shape[0]:
        return torch.empty_like(scores)
    expanded = mask.expand(scores.shape).contiguous()
    result = torch.empty_like(scores)
    del expanded
    return result


@steps("_native_multi_head_attention", of=("gpu",))
def fused_multi_head_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim: int,
    num_head: int,
    qkv_weight: Tensor,
    qkv_bias: Tensor,
    proj_weight: Tensor,
    proj_bias: Tensor,
    mask: Tensor | None = None,
    need_weights: bool = True,
    average_attn_weights: bool = True,
    mask_type: int | None = None,
) -> tuple[Tensor, Tensor | None]:
    """The same with a fused attention kernel, which takes no mask and gives no weights; else the plain steps."""
    batch, length, width = query.shape
    if mask is not None or need_weights or (width // num_head) % _ALIGNMENT:
        return multi_head_attention(
            *(query, key, value, embed_dim, num_head, qkv_weight, qkv_bias, proj_weight, proj_bias, mask),
            *(need_weights, average_attn_weights, mask_type),
        )
    packed = F.linear(query, qkv_weight, qkv_bias)  # noqa: F841  (held to the end)
    sums = torch.empty(batch, num_head, length, dtype=torch.float32, device="meta")
    attended = torch.empty(query.shape, dtype=query.dtype, device="meta")
    del sums
    return F.linear(attended, proj_weight, proj_bias), None


@steps("_transformer_encoder_layer_fwd", of=("cpu", "gpu math"))
def encoder_layer(*arguments: Any) -> Tensor:
    """With plain attention."""
    return _encoder_layer(multi_head_attention, *arguments)


@steps("_transformer_encoder_layer_fwd", of=("gpu",))
def fused_encoder_layer(*arguments: Any) -> Tensor:
    """With a fused attention kernel where there is one."""
    return _encoder_layer(fused_multi_head_attention, *arguments)


def _encoder_layer(
    attend: Callable[..., Any],
    src: Tensor,
    embed_dim: int,
    num_heads: int,
    qkv_weight: Tensor,
    qkv_bias: Tensor,
    proj_weight: Tensor,
    proj_bias: Tensor,
    use_gelu: bool,
    norm_first: bool,
    eps: float,
    norm_weight_1: Tensor,
    norm_bias_1: Tensor,
    norm_weight_2: Tensor,
    norm_bias_2: Tensor,
    ffn_weight_1: Tensor,
    ffn_bias_1: Tensor,
    ffn_weight_2: Tensor,
    ffn_bias_2: Tensor,
    mask: Tensor | None = None,
    mask_type: int | None = None,
) -> Tensor:
    """Attention, the two products of the feed-forward part, the norms; sums are made in place."""

    def normed(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return F.layer_norm(x, (embed_dim,), weight, bias, eps)

    x = normed(src, norm_weight_1, norm_bias_1) if norm_first else src
    attended, _ = attend(
        *(x, x, x, embed_dim, num_heads, qkv_weight, qkv_bias, proj_weight, proj_bias, mask, False, True, mask_type)
    )
    x = attended
    del attended
    x.add_(src)
    if not norm_first:
        x = normed(x, norm_weight_1, norm_bias_1)
    residual = x
    if norm_first:
        x = normed(x, norm_weight_2, norm_bias_2)
    x = _feed_forward(x, ffn_weight_1, ffn_bias_1, ffn_weight_2, ffn_bias_2)
    x.add_(residual)
    return x if norm_first else normed(x, norm_weight_2, norm_bias_2)


def _feed_forward(x: Tensor, weight_1: Tensor, bias_1: Tensor, weight_2: Tensor, bias_2: Tensor) -> Tensor:
    rows = x.reshape(-1, x.shape[-1])
    hidden = torch.addmm(bias_1, rows, weight_1.t())  # its activation is applied in place
    return torch.addmm(bias_2, hidden, weight_2.t()).view(x.shape)
