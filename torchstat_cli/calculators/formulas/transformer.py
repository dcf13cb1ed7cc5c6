"""torch's fused multi-head attention and encoder layer: what their parts would cost."""

from __future__ import annotations

from torchstat_cli.calculators.counting import DERIVED, argument
from torchstat_cli.calculators.formulas.attention import Attention, forward_cost
from torchstat_cli.calculators.formulas.normalization import normalization_flops
from torchstat_cli.calculators.registry import BUILTIN
from torchstat_cli.records import Cost, OpRecord


@BUILTIN.formula("aten._native_multi_head_attention", "aten._triton_multi_head_attention", source=DERIVED)
def multi_head_attention(op: OpRecord) -> Cost:
    """Four projections with bias, attention, and the mean over heads where averaged weights are asked for."""
    batch, queries, _ = op.tensor("query").shape
    keys = op.tensor("key").shape[1]
    cost = _attention(op, batch, queries, keys)
    if argument(op, "need_weights", False) and argument(op, "average_attn_weights", True):
        # heads - 1 additions and one division per averaged weight
        cost += Cost(flops=batch * op.arguments["num_head"] * queries * keys)
    return cost


@BUILTIN.formula("aten._transformer_encoder_layer_fwd", source=DERIVED)
def encoder_layer(op: OpRecord) -> Cost:
    """Multi-head attention, two linears with an activation, two residual sums, two layer norms."""
    batch, length, width = op.tensor("src").shape
    positions, hidden = batch * length, op.tensor("ffn_weight_1").shape[0]
    activation = 5 if argument(op, "use_gelu", False) else 1
    norms = 2 * normalization_flops(positions * width, positions, weight=True, bias=True)
    return (
        _attention(op, batch, length, length)
        + _linear(positions, width, hidden)
        + Cost(flops=activation * positions * hidden + norms + 2 * positions * width)
        + _linear(positions, hidden, width)
    )


def _attention(op: OpRecord, batch: int, queries: int, keys: int) -> Cost:
    """Projections of queries, keys, values and result, and the attention between them."""
    width = op.arguments["embed_dim"]
    heads = op.arguments["num_head"] if "num_head" in op.arguments else op.arguments["num_heads"]
    rows = batch * heads * queries
    sizes = Attention(rows * keys, rows, width // heads, width // heads)
    adds_mask = op.has_tensor("mask") and op.tensor("mask").is_floating
    projected = batch * (2 * queries + 2 * keys)
    return forward_cost(op, sizes, mask=adds_mask, dropout=False) + _linear(projected, width, width)


def _linear(positions: int, inputs: int, outputs: int) -> Cost:
    madds = positions * inputs * outputs
    return Cost(madds, 2 * madds + positions * outputs)
