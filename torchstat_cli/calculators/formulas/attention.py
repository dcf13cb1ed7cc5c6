"""Scaled dot-product attention behind all its names, and its gradients."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from torchstat_cli.calculators.counting import DERIVED, argument, broadcast, contraction, first_tensor, tensors_of
from torchstat_cli.calculators.registry import BUILTIN
from torchstat_cli.records import Cost, OpRecord

# Scores are all pairs of a query and a key: a causal mask hides half of them and discounts nothing, because the
# plain kernels compute them, and papers count them. Grouped keys are shared by several query heads: the pairs are
# those of the query heads.

_OFFSETS = ("cum_seq_q", "cu_seqlens_q", "cum_seq_k", "cu_seqlens_k")


@dataclass(frozen=True, slots=True)
class Attention:
    """The sizes that the cost depends on."""

    scores: int  # batch x query heads x queries x keys
    rows: int  # batch x query heads x queries
    key_width: int  # elements of a query and of a key
    value_width: int  # elements of a value


@BUILTIN.formula(
    "aten.scaled_dot_product_attention",
    "aten._scaled_dot_product_attention_math",
    "aten._scaled_dot_product_attention_math_for_mps",
    "aten._scaled_dot_product_flash_attention",
    "aten._scaled_dot_product_flash_attention_for_cpu",
    "aten._scaled_dot_product_efficient_attention",
    "aten._scaled_dot_product_cudnn_attention",
    "aten._scaled_dot_product_fused_attention_overrideable",
    "aten._triton_scaled_dot_attention",
    "higher_order.flex_attention",
    source=DERIVED,
)
def attention(op: OpRecord) -> Cost:
    """MAdds = query heads x queries x keys x (key width + value width); scale, mask, softmax and dropout per score."""
    return _forward(op, _by_heads(op))


@BUILTIN.formula(
    "aten._flash_attention_forward",
    "aten._flash_attention_forward_no_dropout_inplace",
    "aten._efficient_attention_forward",
    "aten._cudnn_attention_forward",
    source=DERIVED,
)
def attention_by_position(op: OpRecord) -> Cost:
    """As scaled_dot_product_attention; packed sequences count at their longest, for their offsets are data."""
    return _forward(op, _by_position(op))


@BUILTIN.formula(
    "aten._scaled_dot_product_flash_attention_backward",
    "aten._scaled_dot_product_flash_attention_for_cpu_backward",
    "aten._scaled_dot_product_efficient_attention_backward",
    "aten._scaled_dot_product_cudnn_attention_backward",
    "aten._scaled_dot_product_fused_attention_overrideable_backward",
    "higher_order.flex_attention_backward",
    source=DERIVED,
)
def attention_backward(op: OpRecord) -> Cost:
    """MAdds = scores x (3 key widths + 2 value widths), the recomputed scores among them; 6 or more per score."""
    return _backward(op, _by_heads(op))


@BUILTIN.formula(
    "aten._flash_attention_backward",
    "aten._efficient_attention_backward",
    "aten._cudnn_attention_backward",
    source=DERIVED,
)
def attention_by_position_backward(op: OpRecord) -> Cost:
    """As the backward of scaled_dot_product_attention; packed sequences count at their longest."""
    return _backward(op, _by_position(op))


def forward_cost(op: OpRecord, sizes: Attention, mask: bool, dropout: bool) -> Cost:
    """Cost of one attention of the given sizes."""
    # Q K^T sums key_width products per score, A V multiplies every score with a value. Per score: 1 scale, 1 for an
    # added mask, softmax 5 less 2 per row (max n-1, subtract n, exp n, sum n-1, divide n), 2 for dropout.
    madds = sizes.scores * (sizes.key_width + sizes.value_width)
    per_score = 1 + mask + 5 + 2 * dropout
    return contraction(op, madds, max(per_score * sizes.scores - 2 * sizes.rows, 0))


def _forward(op: OpRecord, sizes: Attention) -> Cost:
    return forward_cost(op, sizes, _adds_mask(op), argument(op, "dropout_p", 0.0) > 0)


def _backward(op: OpRecord, sizes: Attention) -> Cost:
    # Five products: the scores again and dV = A^T dO, dA = dO V^T, dQ = dS K, dK = dS^T Q. Per score: scale and mask
    # again, softmax from the stored logsumexp (subtract, exp), dS = A * (dA - delta) (2), scale; dropout on A and dA.
    # delta is the row sum of dO * O: 2 per value element of the output, less 1 per row.
    dropout = argument(op, "dropout_p", 0.0) > 0
    madds = sizes.scores * (3 * sizes.key_width + 2 * sizes.value_width)
    per_score = 6 + _adds_mask(op) + 4 * dropout
    return contraction(op, madds, per_score * sizes.scores + max(2 * sizes.value_width - 1, 0) * sizes.rows)


def _adds_mask(op: OpRecord) -> bool:
    """A floating mask is added to the scores; a Boolean one only selects."""
    return any(mask.is_floating for name in ("attn_mask", "attn_bias", "bias") for mask in tensors_of(op, name))


def _by_heads(op: OpRecord) -> Attention:
    """Sizes of operands laid out as [batch…, heads, positions, width]; their batches broadcast."""
    query, key, value = first_tensor(op, "query", "q"), first_tensor(op, "key", "k"), first_tensor(op, "value", "v")
    shapes = [tensor.shape for tensor in (query, key, value)]
    heads = max(shape[-3] if len(shape) > 2 else 1 for shape in shapes)
    batch = prod(broadcast(*(shape[:-3] for shape in shapes)))
    rows = batch * heads * query.shape[-2]
    return Attention(rows * key.shape[-2], rows, query.shape[-1], value.shape[-1])


def _by_position(op: OpRecord) -> Attention:
    """Sizes of operands laid out as [batch, positions, heads, width], or packed as [positions, heads, width]."""
    query, key, value = op.tensor("query"), op.tensor("key"), op.tensor("value")
    packed = any(op.has_tensor(name) and op.tensor(name).numel > 1 for name in _OFFSETS)
    if not packed and op.name.startswith("aten._cudnn_attention"):
        return _by_heads(op)
    # Packed rows are known exactly; how many keys each of them meets is data, so every row meets the longest.
    rows = query.numel // query.shape[-1] if query.numel else 0
    keys = _longest_keys(op) if packed else key.shape[-3]
    return Attention(rows * keys, rows, query.shape[-1], value.shape[-1])


def _longest_keys(op: OpRecord) -> int:
    for name in ("max_k", "max_seqlen_k"):
        if op.arguments.get(name) is not None:
            return int(op.arguments[name])
    raise KeyError("max_k or max_seqlen_k")
