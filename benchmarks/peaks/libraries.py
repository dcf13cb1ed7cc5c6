"""Models of torchvision, timm and transformers, with random weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.libraries import import_library
from benchmarks.peaks.case import Case

_VISION = (
    *("convnext_tiny", "densenet121", "efficientnet_b0", "mobilenet_v3_large", "regnet_y_400mf", "shufflenet_v2_x1_0"),
    "swin_t",
)
_TIMM = (
    *("mixer_s32_224", "xcit_nano_12_p16_224", "mobilevit_s", "poolformer_s12", "levit_128s"),
    *("vit_tiny_patch16_224", "coat_lite_tiny"),
)


def library_cases(batch: int, large: bool) -> Iterator[Case]:
    """The models; ``large`` where the machine can take full batches."""
    few = max(2, batch // 2)
    vision, timm, transformers = map(import_library, ("torchvision", "timm", "transformers"))
    if vision is not None:
        for name, size in (("resnet18", batch), ("mobilenet_v2", batch), ("vit_b_16", few)):
            yield Case(name, f"{name}, batch {size}", getattr(vision.models, name), partial(_images, "x", size))
        for name in _VISION:
            yield Case(name, f"{name}, batch 2", getattr(vision.models, name), partial(_images, "x", 2))
        segment = partial(
            vision.models.segmentation.lraspp_mobilenet_v3_large, weights=None, weights_backbone=None, num_classes=21
        )
        yield Case("lraspp", "lraspp_mobilenet_v3_large, batch 2", segment, partial(_images, "input", 2), loss=_out)
    if timm is not None:
        for name in _TIMM:
            yield Case(
                f"timm-{name}", f"timm {name}, batch 2", partial(timm.create_model, name), partial(_images, "x", 2)
            )
    if transformers is not None:
        tokens = 512 if large else 128
        words = f"gpt2 without dropout, 2 x {tokens} tokens"
        yield Case("gpt2", words, lambda: _gpt2(transformers), partial(_ids, 2, tokens), loss=_logits)
        yield from _small_transformers(transformers)


def _small_transformers(library: Any) -> Iterator[Case]:
    ids = partial(_ids, 4, 96)
    heads = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 1000}
    bert = library.BertConfig(**heads, intermediate_size=256)
    yield _of("bert", "BERT", partial(library.BertModel, bert), ids, "last_hidden_state")
    llama = library.LlamaConfig(**heads, num_key_value_heads=2, intermediate_size=256)
    yield _of("llama", "Llama with shared heads", partial(library.LlamaForCausalLM, llama), ids, "logits")
    mamba = library.MambaConfig(hidden_size=64, num_hidden_layers=2, vocab_size=1000, state_size=8)
    yield _of("mamba", "Mamba", partial(library.MambaForCausalLM, mamba), partial(_ids, 2, 32), "logits")
    t5 = library.T5Config(vocab_size=1000, d_model=128, d_kv=32, d_ff=256, num_layers=2, num_heads=4, dropout_rate=0.0)
    both = lambda: {**_ids(4, 96), "decoder_input_ids": torch.ones(4, 64, dtype=torch.int64)}  # noqa: E731
    yield _of("t5", "T5", partial(library.T5ForConditionalGeneration, t5), both, "logits")
    speech = library.Wav2Vec2Config(
        **heads, intermediate_size=256, conv_dim=(64,) * 7, apply_spec_augment=False, layerdrop=0.0
    )
    waves = lambda: {"input_values": torch.randn(2, 8000)}  # noqa: E731
    yield _of("wav2vec2", "wav2vec 2.0", partial(library.Wav2Vec2Model, speech), waves, "last_hidden_state")


def _of(
    name: str, words: str, build: Callable[[], nn.Module], inputs: Callable[[], dict[str, Tensor]], output: str
) -> Case:
    return Case(name, words, build, inputs, loss=lambda result: getattr(result, output).sum())


def _images(name: str, batch: int) -> dict[str, Tensor]:
    return {name: torch.randn(batch, 3, 224, 224)}


def _ids(batch: int, tokens: int) -> dict[str, Tensor]:
    return {"input_ids": torch.ones(batch, tokens, dtype=torch.int64)}


def _gpt2(transformers: Any) -> nn.Module:
    config = transformers.GPT2Config(resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    model: nn.Module = transformers.GPT2LMHeadModel(config)
    return model


def _logits(output: Any) -> Tensor:
    logits: Tensor = output.logits
    return logits.sum()


def _out(output: Any) -> Tensor:
    scores: Tensor = output["out"]
    return scores.sum()
