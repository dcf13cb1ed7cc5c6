"""The models that benchmarks measure, with random weights and usual inputs; only of libraries that are installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.libraries import import_library

_IMAGE = (1, 3, 224, 224)
_TOKENS = (1, 128)


@dataclass(frozen=True, slots=True)
class Subject:
    """A model that can be built on any device, and its positional inputs."""

    name: str
    library: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    tokens: bool = False  # inputs are identifiers instead of numbers

    def model(self, device: str = "cpu") -> nn.Module:
        """A new model in eval mode; parameters from a fixed seed."""
        torch.manual_seed(0)
        with torch.device(device):
            return self.build().eval()

    def inputs(self, device: str = "cpu") -> tuple[Tensor, ...]:
        """Zeros: what a model costs does not depend on them."""
        dtype = torch.int64 if self.tokens else torch.float32
        return (torch.zeros(self.shape, dtype=dtype, device=device),)


def overhead_subjects() -> Iterator[Subject]:
    """For the ratio to the bare meta forward."""
    yield _sample("resnet50", "resnet", _IMAGE)
    yield _sample("vit", "vit", _IMAGE)
    yield from _torchvision("resnet50", "vit_b_16", "mobilenet_v3_small")
    yield from _timm("vit_base_patch16_224")
    yield from _transformers(
        "llama, 32 layers", "LlamaConfig", "LlamaForCausalLM", (1, 2048), hidden_size=4096, intermediate_size=11008,
        num_hidden_layers=32, num_attention_heads=32,
    )  # fmt: skip


def peer_subjects() -> Iterator[Subject]:
    """For the comparison with other tools: convolution, attention of four libraries, recurrence, bare functions."""
    yield from _torchvision("resnet50", "mobilenet_v3_small", "densenet121", "vit_b_16", "swin_t")
    yield from _timm("vit_small_patch16_224")
    yield from _small_language_models()
    sizes = {"vocab_size": 10_000, "width": 256, "hidden": 512}
    yield _sample("lstm_classifier", "recurrent", (8, 64), tokens=True, name="lstm, 2 layers of 512", **sizes)
    sizes = {"width": 512, "heads": 8, "depth": 6}
    yield _sample("transformer_encoder", "transformer", (1, 128, 512), name="encoder, 6 layers of 512", **sizes)
    yield _sample("functional_only", "functional", _IMAGE, name="functions, width 256", width=256, heads=8)


def toy_subjects() -> Iterator[Subject]:
    """The same kinds at a size nobody asks about: their own forward takes about a millisecond."""
    yield _sample("lstm_classifier", "recurrent", (1, 16), tokens=True, name="toy lstm")
    yield _sample("transformer_encoder", "transformer", (2, 16, 64), name="toy encoder")
    yield _sample("functional_only", "functional", (1, 3, 32, 32), name="toy functions")


def _small_language_models() -> Iterator[Subject]:
    sizes = {"hidden_size": 512, "intermediate_size": 1408, "num_attention_heads": 8, "num_key_value_heads": 4}
    llama, mixtral = {"num_hidden_layers": 4, **sizes}, {"num_hidden_layers": 2, "vocab_size": 8000, **sizes}
    yield from _transformers("bert, 4 layers", "BertConfig", "BertModel", _TOKENS, num_hidden_layers=4)
    yield from _transformers("gpt2, 4 layers", "GPT2Config", "GPT2LMHeadModel", _TOKENS, n_layer=4)
    yield from _transformers("llama, 4 layers", "LlamaConfig", "LlamaForCausalLM", _TOKENS, **llama)
    yield from _transformers("mixtral, 2 layers", "MixtralConfig", "MixtralForCausalLM", _TOKENS, **mixtral)


def _sample(
    factory: str, module: str, shape: tuple[int, ...], *, tokens: bool = False, name: str = "", **sizes: int
) -> Subject:
    def build() -> nn.Module:
        model: nn.Module = getattr(importlib.import_module(f"sample_models.{module}"), factory)(**sizes)
        return model

    return Subject(name or factory, "sample_models", build, shape, tokens)


def _torchvision(*names: str) -> Iterator[Subject]:
    library = import_library("torchvision")
    if library is not None:
        for name in names:
            yield Subject(name, "torchvision", partial(library.models.get_model, name, weights=None), _IMAGE)


def _timm(*names: str) -> Iterator[Subject]:
    library = import_library("timm")
    if library is not None:
        for name in names:
            yield Subject(name, "timm", partial(library.create_model, name, pretrained=False), _IMAGE)


def _transformers(name: str, config: str, model: str, shape: tuple[int, ...], **sizes: Any) -> Iterator[Subject]:
    library = import_library("transformers")
    if library is not None:
        build = partial(getattr(library, model), getattr(library, config)(**sizes))
        yield Subject(name, "transformers", build, shape, tokens=True)
