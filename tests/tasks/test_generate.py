"""Prefill and decoding of a small causal model, held against running every step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.libraries import import_transformers
from torchstat_cli.calculators.work import add_up
from torchstat_cli.capture.generation import record_decode
from torchstat_cli.capture.run import RunOptions
from torchstat_cli.cli.main import main
from torchstat_cli.errors import UsageError
from torchstat_cli.loading import InputSpec, find_model, place
from torchstat_cli.tasks.generate import generation_spec, parse_generation
from torchstat_cli.tasks.settings import Settings

CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
}


@pytest.fixture
def llama(tmp_path: Path) -> str:
    import_transformers()
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return f"hf/{tmp_path}"


@pytest.mark.libraries
def test_the_whole_equals_every_step(llama: str) -> None:
    settings = Settings()
    profile, _ = generation_spec(llama, (InputSpec("input_ids", (3, 1), "int64", None),), settings, (7, 12))
    generation = profile.generation
    assert generation is not None
    parts = {part.name: part for part in generation.parts}
    assert generation.observed < 11
    # 2 layers, keys and values, 2 heads of 8, 4 bytes: 256 per token; 7 + 11 tokens of 3 sequences.
    assert generation.cache_bytes == 256 * 18 * 3
    model = place(find_model(llama), "meta").model
    total = 0
    for cached in range(7, 18):
        step = record_decode(model, "input_ids", 3, cached, settings.registry.knows, RunOptions(on_meta=True))
        total += add_up(step.events, settings.registry).whole.flops
    assert parts["all decodes"].flops == total
    assert parts["prefill"].flops == profile.total.flops
    # One token through the linear layers: 4 projections, 3 of the perceptron, the head; attention over 8 keys.
    linear = 2 * (32 * 32 * 2 + 32 * 16 * 2 + 3 * 32 * 64) + 32 * 100
    assert parts["first decode"].madds == 3 * (linear + 2 * (2 * 4 * 8 * 8))


@pytest.mark.libraries
def test_the_report_tells(llama: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--quiet", llama, "--generate", "4,1"]) == 0
    assert "kv cache" in capsys.readouterr().out
    assert main(["--quiet", llama, "--generate", "4,3", "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)["generation"]
    assert [part["name"] for part in report["parts"]] == ["prefill", "first decode", "last decode", "all decodes"]
    assert report["cache_bytes"] == 256 * 6


LAYERS_OF_TWO: dict[str, tuple[dict[str, Any], int, int]] = {
    # Keys and values of 4 heads of 8: 2 * 32 numbers a token.
    "GPT2LMHeadModel": ({"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 4}, 2 * 64, 0),
    # Keys and values of 2 heads of 8.
    "MistralForCausalLM": ({**CONFIG, "model_type": "mistral", "sliding_window": None}, 2 * 32, 0),
    "Qwen2ForCausalLM": ({**CONFIG, "model_type": "qwen2"}, 2 * 32, 0),
    "MixtralForCausalLM": ({**CONFIG, "model_type": "mixtral", "num_local_experts": 4}, 2 * 32, 0),
    # Inner width 64: 4 columns of the convolution and 8 of the state, whatever was read.
    "MambaForCausalLM": ({"model_type": "mamba", "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}, 0, 1536),
}
"""A configuration, numbers in the cache per token, and numbers in it however many tokens there are."""


@pytest.mark.libraries
@pytest.mark.parametrize("architecture", LAYERS_OF_TWO)
@pytest.mark.parametrize("new", [1, 4])
def test_the_cache_of_every_kind(architecture: str, new: int, tmp_path: Path) -> None:
    import_transformers()
    config, per_token, constant = LAYERS_OF_TWO[architecture]
    config |= {"architectures": [architecture], "vocab_size": 100, "bos_token_id": 0, "eos_token_id": 1}
    (tmp_path / "config.json").write_text(json.dumps(config))
    profile, _ = generation_spec(f"hf/{tmp_path}", (), Settings(), (6, new))
    assert profile.generation is not None
    assert profile.generation.cache_bytes == 4 * (per_token * (6 + new - 1) + constant)


@pytest.mark.parametrize("text", ["512", "512,", "a,b", "0,4", "4,-1", "1,2,3"])
def test_mistakes_in_the_numbers(text: str) -> None:
    with pytest.raises(UsageError, match="is not PROMPT,NEW"):
        parse_generation(text)


def test_a_model_without_a_cache(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decoder_lm", "--input", "ids=1,8:int64", "--generate", "8,4"]) == 2
    assert "takes no argument cache" in capsys.readouterr().err


def test_what_excludes_generation(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decoder_lm", "--generate", "8,4", "--train"]) == 2
    assert "exclude each other" in capsys.readouterr().err
