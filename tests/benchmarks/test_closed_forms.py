"""The closed forms, against sums written out by hand and the figure of a paper."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.closed_forms import MADDS, deepseek_v3_madds, llama_madds, qwen3_moe_madds

CONFIGS = Path(__file__).parents[1] / "fixtures"
TINY = {"hidden_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 10}


def test_llama_by_hand() -> None:
    # 3 tokens, head width 2: q 4x4, k and v 4x2 each, o 4x4 = 48; gate, up, down 3 x 4 x 5 = 60;
    # QK and AV 2 heads x 2 x 9 each; the head 4 x 10.
    assert llama_madds({**TINY, "intermediate_size": 5}, 3) == 3 * (48 + 60) + 2 * (2 * 2 * 9) + 3 * 40


def test_qwen3_by_hand() -> None:
    config = {**TINY, "head_dim": 3, "num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 5}
    # q and o 4x6 each, k and v 4x3 each = 72; router 4 x 6 = 24; two experts of 60;
    # QK and AV 2 heads x 3 x 1 position each.
    assert qwen3_moe_madds(config, 1) == 72 + 24 + 2 * 60 + 2 * (2 * 3) + 40


def test_deepseek_by_hand() -> None:
    config = {
        **TINY, "num_hidden_layers": 2, "first_k_dense_replace": 1, "intermediate_size": 7, "moe_intermediate_size": 5,
        "q_lora_rank": 3, "kv_lora_rank": 2, "qk_nope_head_dim": 2, "qk_rope_head_dim": 1, "v_head_dim": 2,
        "n_routed_experts": 6, "n_shared_experts": 1, "num_experts_per_tok": 2,
    }  # fmt: skip
    # query 4x3 + 3x6 = 30; key and value 4x3 + 2x8 = 28; output 4x4 = 16;
    # QK and AV of 2 tokens: 2 heads x (3 + 2) x 4 = 40.
    attention = 2 * (30 + 28 + 16) + 40
    # dense 3 x 4 x 7 = 84; sparse: router 24, two chosen and one shared expert of 60.
    assert deepseek_v3_madds(config, 2) == 2 * attention + 2 * (84 + 24 + 3 * 60) + 2 * 40


def test_deepseek_v3_at_2048_tokens_is_171_tflop() -> None:
    config = json.loads((CONFIGS / "deepseek-v3" / "config.json").read_text(encoding="utf-8"))
    assert round(2 * MADDS["deepseek-v3"](config, 2048) / 1e12, 1) == 171.0
