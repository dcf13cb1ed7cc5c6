"""Attention behind all its names, computed by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calculators.making import cost, tensor
from torchstat_cli.records import Cost

# batch 2, 4 heads, 5 queries, 7 keys, widths 6 and 8: 280 scores in 40 rows
QKV = {"query": tensor(2, 4, 5, 6), "key": tensor(2, 4, 7, 6), "value": tensor(2, 4, 7, 8)}
MADDS = 280 * (6 + 8)
BEYOND = 280 * 6 - 2 * 40  # scale, and softmax of 5 per score less 2 per row


@pytest.mark.parametrize(
    "name",
    [
        "aten.scaled_dot_product_attention",
        "aten._scaled_dot_product_flash_attention",
        "aten._scaled_dot_product_flash_attention_for_cpu",
        "aten._scaled_dot_product_efficient_attention",
        "aten._scaled_dot_product_cudnn_attention",
        "aten._scaled_dot_product_fused_attention_overrideable",
        "higher_order.flex_attention",
    ],
)
def test_all_backends_cost_the_same(name: str) -> None:
    assert cost(name, tensor(2, 4, 5, 8), **QKV) == Cost(MADDS, 2 * MADDS + BEYOND)


@pytest.mark.parametrize(
    ("options", "per_score"),
    [
        ({"attn_mask": tensor(5, 7)}, 1),
        ({"attn_mask": tensor(5, 7, dtype="bool")}, 0),
        ({"attn_bias": tensor(5, 7)}, 1),
        ({"dropout_p": 0.1}, 2),
        ({"is_causal": True}, 0),  # hidden scores are computed all the same
    ],
)
def test_masks_and_dropout_count_per_score(options: dict[str, Any], per_score: int) -> None:
    expected = Cost(MADDS, 2 * MADDS + BEYOND + 280 * per_score)
    assert cost("aten.scaled_dot_product_attention", tensor(2, 4, 5, 8), **QKV, **options) == expected


def test_grouped_keys_count_by_query_heads() -> None:
    grouped = {"query": tensor(2, 4, 5, 6), "key": tensor(2, 2, 7, 6), "value": tensor(2, 2, 7, 8)}
    found = cost("aten.scaled_dot_product_attention", tensor(2, 4, 5, 8), **grouped, enable_gqa=True)
    assert found == Cost(MADDS, 2 * MADDS + BEYOND)


@pytest.mark.parametrize(
    ("query", "key", "scores"),
    [
        ((5, 6), (7, 6), 35),
        ((4, 5, 6), (4, 7, 6), 140),
        ((1, 4, 5, 6), (3, 4, 7, 6), 420),
        ((3, 2, 4, 5, 6), (1, 2, 4, 7, 6), 840),
    ],
)
def test_leading_axes_broadcast(query: tuple[int, ...], key: tuple[int, ...], scores: int) -> None:
    given = {"query": tensor(*query), "key": tensor(*key), "value": tensor(*key)}
    found = cost("aten.scaled_dot_product_attention", tensor(1), **given)
    assert found is not None
    assert found.madds == scores * 12


def test_no_keys_cost_nothing() -> None:
    given = {"query": tensor(2, 4, 5, 6), "key": tensor(2, 4, 0, 6), "value": tensor(2, 4, 0, 6)}
    assert cost("aten.scaled_dot_product_attention", tensor(2, 4, 5, 6), **given) == Cost()


def test_backward_recomputes_the_scores() -> None:
    # five products: three of the key width, two of the value width; 6 per score, and 2 * 8 - 1 per row for delta
    madds = 280 * (3 * 6 + 2 * 8)
    expected = Cost(madds, 2 * madds + 6 * 280 + 15 * 40)
    given = {**QKV, "grad_out": tensor(2, 4, 5, 8), "out": tensor(2, 4, 5, 8), "dropout_p": 0.0}
    assert cost("aten._scaled_dot_product_flash_attention_backward", tensor(2, 4, 5, 6), **given) == expected
    assert cost("aten._scaled_dot_product_flash_attention_for_cpu_backward", tensor(2, 4, 5, 6), **given) == expected


def test_positions_before_heads() -> None:
    given = {"query": tensor(2, 5, 4, 6), "key": tensor(2, 7, 4, 6), "value": tensor(2, 7, 4, 8)}
    assert cost("aten._flash_attention_forward", tensor(2, 5, 4, 8), **given) == Cost(MADDS, 2 * MADDS + BEYOND)
    madds = 280 * (3 * 6 + 2 * 8)
    found = cost("aten._efficient_attention_backward", tensor(2, 5, 4, 6), **given)
    assert found == Cost(madds, 2 * madds + 6 * 280 + 15 * 40)


def test_packed_sequences_count_at_their_longest_key() -> None:
    # 9 query rows of 4 heads, each meets at most 5 keys
    packed = {"query": tensor(9, 4, 6), "key": tensor(9, 4, 6), "value": tensor(9, 4, 6)}
    offsets = {"cum_seq_q": tensor(4, dtype="int32"), "cum_seq_k": tensor(4, dtype="int32"), "max_q": 5, "max_k": 5}
    found = cost("aten._flash_attention_forward", tensor(9, 4, 6), **packed, **offsets)
    assert found == Cost(180 * 12, 360 * 12 + 180 * 6 - 2 * 36)


def test_the_fused_encoder_layer_is_the_sum_of_its_parts() -> None:
    # nn.TransformerEncoderLayer(64, 4), batch 2, 16 tokens: 8,978,432 MAdds in its contractions
    width, hidden = 64, 2048
    given = {
        "src": tensor(2, 16, width),
        "embed_dim": width,
        "num_heads": 4,
        "qkv_weight": tensor(3 * width, width),
        "ffn_weight_1": tensor(hidden, width),
        "ffn_weight_2": tensor(width, hidden),
        "use_gelu": False,
        "mask": None,
    }
    madds = 4 * 32 * 64 * 64 + 2 * 32 * 64 * 2048 + 2 * (2 * 4 * 16 * 16) * 16
    assert madds == 8_978_432
    scores, rows, positions = 2 * 4 * 16 * 16, 2 * 4 * 16, 32
    beyond = (
        4 * positions * width  # biases of the projections
        + 6 * scores
        - 2 * rows
        + positions * (hidden + width)  # biases of the linears
        + positions * hidden  # relu
        + 2 * positions * width  # residual sums
        + 2 * (7 * positions * width + 2 * positions)  # layer norms
    )
    assert cost("aten._transformer_encoder_layer_fwd", tensor(2, 16, width), **given) == Cost(madds, 2 * madds + beyond)


@pytest.mark.parametrize(("weights", "extra"), [(False, 0), (True, 2 * 2 * 5 * 7)])
def test_native_multi_head_attention_averages_heads_when_asked(weights: bool, extra: int) -> None:
    given = {
        "query": tensor(2, 5, 8),
        "key": tensor(2, 7, 8),
        "value": tensor(2, 7, 8),
        "embed_dim": 8,
        "num_head": 2,
        "need_weights": weights,
        "average_attn_weights": True,
    }
    scores, rows, projected = 2 * 2 * 5 * 7, 2 * 2 * 5, 2 * (2 * 5 + 2 * 7)
    madds = scores * (4 + 4) + projected * 64
    expected = Cost(madds, 2 * madds + 6 * scores - 2 * rows + projected * 8 + extra)
    assert cost("aten._native_multi_head_attention", tensor(2, 5, 8), **given) == expected
