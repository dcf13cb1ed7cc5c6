"""Prefill and decoding of a small causal model, held against running every step."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.libraries import import_transformers
from torchstat_cli.calculators.work import add_up
from torchstat_cli.capture.generation import record_decode
from torchstat_cli.capture.run import RunOptions
from torchstat_cli.cli.main import main
from torchstat_cli.errors import PlacementError, StrictError, UsageError
from torchstat_cli.loading import InputSpec, find_model, place
from torchstat_cli.records import Profile
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


READERS = """
import torch
from torch import nn

BUILDS, DEVICES = [], set()


class Reader(nn.Module):
    '''Attention over every token read so far.'''

    def __init__(self):
        super().__init__()
        BUILDS.append(self)
        self.embedding = nn.Embedding(8, 4)
        self.head = nn.Linear(4, 8, bias=False)

    def forward(self, input_ids, cache=None, use_cache=False):
        new = self.embedding(input_ids)
        DEVICES.add(new.device.type)
        keys = new if cache is None else torch.cat([cache[0], new], dim=1)
        self.check(cache, keys)
        return {"logits": self.head(new @ keys.mT @ keys), "cache": (keys,)}

    def check(self, cache, keys):
        pass


class Asks(Reader):
    def check(self, cache, keys):
        if cache is not None and not bool((keys == keys).all()):
            raise ValueError("not a number")


class Converts(Reader):
    def check(self, cache, keys):
        if cache is not None:
            keys.numpy()
"""
TOKENS = (InputSpec("input_ids", (2, 1), "int64", None),)
# 2 sequences; the fifth token beside 5 keys of width 4: scores and their sum, then the head.
FIRST_DECODE = 2 * (4 * 5 + 4 * 5 + 4 * 8)


@pytest.fixture
def readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (tmp_path / "cache_readers.py").write_text(READERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "cache_readers", raising=False)
    return importlib.import_module("cache_readers")


def madds(profile: Profile) -> dict[str, int]:
    assert profile.generation is not None
    return {part.name: part.madds for part in profile.generation.parts}


@pytest.mark.parametrize("device", ["auto", "meta", "cpu"])
def test_one_model_is_built_for_prefill_and_decoding(device: str, readers: ModuleType) -> None:
    profile, notes = generation_spec("cache_readers:Reader", TOKENS, Settings(device=device), (4, 6))
    assert madds(profile)["first decode"] == FIRST_DECODE
    assert (profile.provenance.placement, notes) == ("cpu" if device == "cpu" else "meta", ())
    assert len(readers.BUILDS) == 1
    assert {profile.provenance.placement} == readers.DEVICES


def test_decoding_that_needs_values_is_run_for_real(readers: ModuleType) -> None:
    profile, notes = generation_spec("cache_readers:Asks", TOKENS, Settings(), (4, 6))
    assert profile.provenance.placement == "cpu"
    assert notes[0].startswith("not run on meta alone: ")
    assert madds(profile)["first decode"] == FIRST_DECODE
    assert profile.provenance.assumptions == ()


def test_decoding_that_may_not_run_for_real_says_what_it_assumes(readers: ModuleType) -> None:
    profile, _ = generation_spec("cache_readers:Asks", TOKENS, Settings(device="meta"), (4, 6))
    assert len(profile.provenance.assumptions) == 1
    assert madds(profile)["first decode"] == FIRST_DECODE
    with pytest.raises(StrictError, match="the numbers rest on assumptions: a "):
        generation_spec("cache_readers:Asks", TOKENS, Settings(device="meta", strict=True), (4, 6))
    with pytest.raises(PlacementError, match="numpy") as caught:
        generation_spec("cache_readers:Converts", TOKENS, Settings(device="meta"), (4, 6))
    assert caught.value.hint == "run it for real: --device cpu"


def test_what_excludes_generation(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decoder_lm", "--generate", "8,4", "--train"]) == 2
    assert "exclude each other" in capsys.readouterr().err
