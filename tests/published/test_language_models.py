"""Language models larger than any test machine: the sizes that their reports state, and one FLOP count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.libraries import import_torchvision
from torchstat_cli.loading import InputSpec, find_model
from torchstat_cli.records import Profile
from torchstat_cli.tasks.profile import profile_spec
from torchstat_cli.tasks.settings import Settings

pytestmark = pytest.mark.libraries

CONFIGURATIONS = Path(__file__).parents[1] / "fixtures"


def _profile(name: str, length: int) -> Profile:
    pytest.importorskip("transformers")
    import_torchvision()
    given = (InputSpec(None, (1, length), "int64", None),)
    return profile_spec(find_model(f"hf/{CONFIGURATIONS / name}"), given, Settings(device="meta"))[0]


def _parameters(config: dict[str, int], experts_used: int) -> int:
    """Qwen3 mixture of experts: two vocabulary tables, then attention, router, experts and two norms a layer."""
    width, head = config["hidden_size"], config["head_dim"]
    heads = 2 * config["num_attention_heads"] + 2 * config["num_key_value_heads"]
    experts = experts_used * 3 * width * config["moe_intermediate_size"]
    layer = heads * head * width + 2 * head + width * config["num_experts"] + experts + 2 * width
    return 2 * config["vocab_size"] * width + config["num_hidden_layers"] * layer + width


def test_llama_3_1_405b() -> None:
    """The Llama 3 Herd of Models, arXiv:2407.21783: 405B parameters, 126 layers."""
    assert round(_profile("llama-405b", 128).total.params / 1e9) == 406  # 405.85, which the report rounds down


def test_deepseek_v3() -> None:
    """DeepSeek-V3 Technical Report, arXiv:2412.19437: 671B parameters."""
    assert round(_profile("deepseek-v3", 128).total.params / 1e9) == 671


def test_deepseek_v3_flops() -> None:
    """At 2048 tokens: 171.0 TFLOP in contractions, eight of 256 experts for each token."""
    assert round(2 * _profile("deepseek-v3", 2048).total.madds / 1e12, 1) == 171.0


def test_qwen3_235b_a22b() -> None:
    """Qwen3 Technical Report, arXiv:2505.09388: 235B parameters, 22B of them at work for a token, 94 layers."""
    config = json.loads((CONFIGURATIONS / "qwen3-235b" / "config.json").read_text(encoding="utf-8"))
    profile = _profile("qwen3-235b", 128)
    assert profile.total.params == _parameters(config, config["num_experts"])
    assert round(profile.total.params / 1e9) == 235
    assert round(_parameters(config, config["num_experts_per_tok"]) / 1e9) == 22
    # What a token multiplies with is what works for it, but for the table in which it is looked up.
    work = {entry.op: entry.madds for entry in profile.operators}
    weights = (work["aten.linear"] + work["aten._grouped_mm"]) / 128
    assert round(weights / 1e9) == 22
