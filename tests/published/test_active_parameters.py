"""Mixtures of experts: the parameters that one token uses, as their makers state them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.libraries import import_torchvision
from torchstat_cli.loading import InputSpec, find_model
from torchstat_cli.records import Profile
from torchstat_cli.tasks.profile import profile_spec
from torchstat_cli.tasks.settings import Settings

pytestmark = pytest.mark.libraries

_QWEN3 = {"hidden_size": 2048, "num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 4}

MODELS: dict[str, tuple[dict[str, Any], float, float]] = {
    # name, with its source: what differs from the default configuration, billions of parameters, active ones
    "Mixtral 8x7B, arXiv:2401.04088: 13B active of 47B; 12.9B of 46.7B by its announcement": (
        {"model_type": "mixtral", "architectures": ["MixtralForCausalLM"]},
        46.7,
        12.9,
    ),
    "Qwen3-30B-A3B, arXiv:2505.09388 and its model card: 3.3B of 30.5B": (
        {
            **_QWEN3,
            "model_type": "qwen3_moe",
            "architectures": ["Qwen3MoeForCausalLM"],
            "head_dim": 128,
            "num_experts": 128,
            "num_experts_per_tok": 8,
            "moe_intermediate_size": 768,
            "vocab_size": 151936,
        },
        30.5,
        3.35,  # 3.3 by the card, which cuts digits off
    ),
    "OLMoE-1B-7B, arXiv:2409.02060: 1.3B of 6.9B": (
        {"model_type": "olmoe", "architectures": ["OlmoeForCausalLM"], "intermediate_size": 1024},
        6.9,
        1.3,
    ),
    "Qwen1.5-MoE-A2.7B, its announcement: 2.7B of 14.3B, shared experts among them": (
        {"model_type": "qwen2_moe", "architectures": ["Qwen2MoeForCausalLM"]},
        14.3,
        2.7,
    ),
    "DBRX, its announcement: 36B of 132B; the rows of all experts in one matrix": (
        {
            "model_type": "dbrx",
            "architectures": ["DbrxForCausalLM"],
            "d_model": 6144,
            "n_heads": 48,
            "n_layers": 40,
            "vocab_size": 100352,
            "attn_config": {"clip_qkv": 8, "kv_n_heads": 8, "rope_theta": 500000.0},
            "ffn_config": {"ffn_hidden_size": 10752, "moe_num_experts": 16, "moe_top_k": 4},
        },
        132,
        36,
    ),
}


def _profile(folder: Path) -> Profile:
    pytest.importorskip("transformers")
    import_torchvision()
    given = (InputSpec(None, (1, 16), "int64", None),)
    return profile_spec(find_model(f"hf/{folder}"), given, Settings())[0]


@pytest.mark.parametrize("name", MODELS)
def test_as_published(name: str, tmp_path: Path) -> None:
    configuration, params, active = MODELS[name]
    (tmp_path / "config.json").write_text(json.dumps(configuration), encoding="utf-8")
    total = _profile(tmp_path).total
    assert total.active_params is not None
    assert (_rounded(total.params, params), _rounded(total.active_params, active)) == (params, active)


def test_gpt_oss_120b(tmp_path: Path) -> None:
    """gpt-oss model card, arXiv:2508.10925: 116.83B parameters, 5.13B active without the embeddings."""
    configuration = {"model_type": "gpt_oss", "architectures": ["GptOssForCausalLM"]}
    (tmp_path / "config.json").write_text(json.dumps(configuration), encoding="utf-8")
    profile = _profile(tmp_path)
    assert round(profile.total.params / 1e9, 2) == 116.83
    assert profile.total.active_params is not None
    embeddings = profile.at("model.embed_tokens").params
    assert round((profile.total.active_params - embeddings) / 1e9, 2) == 5.13


def test_deepseek_v3() -> None:
    """DeepSeek-V3 Technical Report, arXiv:2412.19437: 671B parameters, 37B active; routed experts and a shared one."""
    total = _profile(Path(__file__).parents[1] / "fixtures" / "deepseek-v3").total
    assert total.active_params is not None
    assert total.active_params // 10**9 == 37


def test_experts_of_attention(tmp_path: Path) -> None:
    """JetMoE, arXiv:2404.07413: queries and outputs of attention go through experts as well, of the same router."""
    width, hidden, heads = 64, 96, 4 * 16
    sizes = {"hidden_size": width, "intermediate_size": hidden, "num_key_value_heads": 4, "kv_channels": 16}
    configuration = {"model_type": "jetmoe", "num_hidden_layers": 1, "vocab_size": 100, **sizes}
    (tmp_path / "config.json").write_text(json.dumps(configuration), encoding="utf-8")
    total = _profile(tmp_path).total
    expert = width * 2 * hidden + hidden * width + width * heads + heads * width
    assert total.active_params == total.params - 6 * expert  # two of eight


def _rounded(value: int, to: float) -> float:
    """Billions, with as many digits as ``to``."""
    digits = len(str(to).partition(".")[2]) if isinstance(to, float) else 0
    return round(value / 1e9, digits)
