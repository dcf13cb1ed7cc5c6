"""Contractions of three decoders from their configuration alone: what their profiles are checked against.

Each counts one forward over ``tokens`` positions, batch 1. Attention is the full square: the causal half is computed by
the kernels that are counted, so it is not discounted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Config = Mapping[str, Any]
"""The values of a config.json."""


def llama_madds(config: Config, tokens: int) -> int:
    """Dense, grouped-query attention."""
    feedforward = _gated(config["hidden_size"], config["intermediate_size"])
    layer = _grouped_query_attention(config, tokens) + tokens * feedforward
    return int(config["num_hidden_layers"]) * layer + _head(config, tokens)


def qwen3_moe_madds(config: Config, tokens: int) -> int:
    """Grouped-query attention; in every layer a router and the experts it chooses."""
    width = config["hidden_size"]
    chosen = config["num_experts_per_tok"] * _gated(width, config["moe_intermediate_size"])
    layer = _grouped_query_attention(config, tokens) + tokens * (width * config["num_experts"] + chosen)
    return int(config["num_hidden_layers"] * layer) + _head(config, tokens)


def deepseek_v3_madds(config: Config, tokens: int) -> int:
    """Latent attention; the first layers dense, the others a router, chosen experts and shared ones."""
    width = config["hidden_size"]
    dense_layers = config["first_k_dense_replace"]
    experts = config["num_experts_per_tok"] + config["n_shared_experts"]
    sparse = width * config["n_routed_experts"] + experts * _gated(width, config["moe_intermediate_size"])
    feedforward = dense_layers * _gated(width, config["intermediate_size"])
    feedforward += (config["num_hidden_layers"] - dense_layers) * sparse
    attention = config["num_hidden_layers"] * _latent_attention(config, tokens)
    return int(attention + tokens * feedforward) + _head(config, tokens)


MADDS: Mapping[str, Callable[[Config, int], int]] = {
    "llama-405b": llama_madds,
    "deepseek-v3": deepseek_v3_madds,
    "qwen3-235b": qwen3_moe_madds,
}
"""By the name of the configuration's folder."""


def _gated(width: int, hidden: int) -> int:
    """Gate, up and down projection of one token."""
    return 3 * width * hidden


def _head(config: Config, tokens: int) -> int:
    return tokens * int(config["hidden_size"]) * int(config["vocab_size"])


def _grouped_query_attention(config: Config, tokens: int) -> int:
    heads, width = config["num_attention_heads"], config["hidden_size"]
    head_width = config.get("head_dim") or width // heads
    # query and output projections for every head, key and value for the grouped ones
    projections = 2 * width * head_width * (heads + config["num_key_value_heads"])
    return int(tokens * projections + 2 * heads * head_width * tokens**2)


def _latent_attention(config: Config, tokens: int) -> int:
    heads, width = config["num_attention_heads"], config["hidden_size"]
    query_rank, latent = config["q_lora_rank"], config["kv_lora_rank"]
    plain, rotary, value = config["qk_nope_head_dim"], config["qk_rope_head_dim"], config["v_head_dim"]
    query = width * query_rank + query_rank * heads * (plain + rotary)
    key_value = width * (latent + rotary) + latent * heads * (plain + value)
    output = heads * value * width
    return int(tokens * (query + key_value + output) + heads * (plain + rotary + value) * tokens**2)
