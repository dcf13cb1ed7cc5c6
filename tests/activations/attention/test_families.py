"""Maps equal those of eager attention with the same weights, family by family, to 1e-5."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.activations.huggingface import import_transformers
from tests.libraries import import_timm
from torchstat_cli.activations import observe

pytestmark = pytest.mark.libraries

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 64,
    "pad_token_id": 0,
}
GROUPED = {**SMALL, "num_key_value_heads": 2, "head_dim": 8}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": 32,
    "patch_size": 8,
}
SEQ2SEQ = {
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "vocab_size": 64,
    "pad_token_id": 0,
}


def tokens(length: int = 7, padded_left: bool = False) -> dict[str, Tensor]:
    torch.manual_seed(1)
    mask = torch.ones(2, length, dtype=torch.long)
    mask[1, slice(0, 2) if padded_left else slice(-2, None)] = 0
    return {"input_ids": torch.randint(3, 60, (2, length)), "attention_mask": mask}


def pixels() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {"pixel_values": torch.randn(2, 3, 32, 32)}


def globally(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    chosen = torch.zeros_like(inputs["input_ids"])
    chosen[:, 0] = 1
    chosen[0, 3] = 1
    return {**inputs, "global_attention_mask": chosen}


Case = tuple[str, dict[str, Any], Callable[[], dict[str, Tensor]]]

FAMILIES: dict[str, Case] = {
    "Bert": ("BertModel", SMALL, tokens),
    "Roberta": ("RobertaModel", SMALL, lambda: tokens(6)),
    "DistilBert": (
        "DistilBertModel",
        {"dim": 32, "hidden_dim": 32, "n_layers": 2, "n_heads": 4, "vocab_size": 64},
        tokens,
    ),
    "Albert": ("AlbertModel", {**SMALL, "embedding_size": 16}, tokens),
    "GPT2": (
        "GPT2Model",
        {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 64},
        lambda: tokens(padded_left=True),
    ),
    "GPTNeoX": ("GPTNeoXModel", SMALL, lambda: tokens(padded_left=True)),
    "Llama": ("LlamaModel", GROUPED, lambda: tokens(padded_left=True)),
    "Mistral": ("MistralModel", {**GROUPED, "sliding_window": 3}, lambda: tokens(9, padded_left=True)),
    "Qwen2": ("Qwen2Model", GROUPED, lambda: tokens(padded_left=True)),
    "Gemma2": ("Gemma2Model", {**GROUPED, "sliding_window": 3}, lambda: tokens(padded_left=True)),
    "Gemma3": ("Gemma3TextModel", {**GROUPED, "sliding_window": 3}, lambda: tokens(padded_left=True)),
    "OPT": (
        "OPTModel",
        {
            "hidden_size": 32,
            "ffn_dim": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "vocab_size": 64,
            "word_embed_proj_dim": 32,
        },
        tokens,
    ),
    "T5": (
        "T5EncoderModel",
        {"d_model": 32, "d_ff": 32, "d_kv": 8, "num_layers": 2, "num_heads": 4, "vocab_size": 64},
        tokens,
    ),
    "Falcon": (
        "FalconModel",
        {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "vocab_size": 64,
            "multi_query": True,
            "alibi": False,
        },
        lambda: tokens(padded_left=True),
    ),
    "Bart": ("BartModel", SEQ2SEQ, tokens),
    "ViT": ("ViTModel", VISION, pixels),
    "Dinov2": ("Dinov2Model", VISION, pixels),
    "CLIP": ("CLIPVisionModel", VISION, pixels),
    "Siglip": ("SiglipVisionModel", VISION, pixels),
    "Beit": ("BeitModel", VISION, pixels),
    "GptOss": (
        "GptOssModel",
        {**GROUPED, "sliding_window": 3, "num_local_experts": 2, "num_experts_per_tok": 1},
        lambda: tokens(padded_left=True),
    ),
    "Longformer": ("LongformerModel", {**SMALL, "pad_token_id": 1, "attention_window": [4, 4]}, lambda: tokens(16)),
    "Longformer, global": (
        "LongformerModel",
        {**SMALL, "pad_token_id": 1, "attention_window": [4, 4]},
        lambda: globally(tokens(16)),
    ),
    "LED": (
        "LEDModel",
        {
            **SEQ2SEQ,
            "attention_window": 4,
            "max_encoder_position_embeddings": 64,
            "max_decoder_position_embeddings": 64,
        },
        lambda: globally(tokens(16)),
    ),
    "LongT5": (
        "LongT5EncoderModel",
        {"d_model": 32, "d_ff": 32, "d_kv": 8, "num_layers": 2, "num_heads": 4, "vocab_size": 64, "local_radius": 3},
        lambda: tokens(12),
    ),
    "BigBird": (
        "BigBirdModel",
        {**SMALL, "block_size": 4, "num_random_blocks": 2, "max_position_embeddings": 64},
        lambda: {"input_ids": tokens(64)["input_ids"]},
    ),
    "PegasusX": (
        "PegasusXModel",
        {**SEQ2SEQ, "num_global_tokens": 4, "block_size": 8},
        lambda: {**tokens(16), "decoder_input_ids": tokens(16)["input_ids"]},
    ),
}


def built(case: Case) -> tuple[nn.Module, nn.Module, dict[str, Tensor]]:
    """The model as it comes (fused where it can be), the same with eager attention, and inputs."""
    library = import_transformers()
    name, settings, inputs = case
    kind = getattr(library, name)
    config = kind.config_class(**settings)
    torch.manual_seed(0)
    eager = kind._from_config(copy.deepcopy(config), attn_implementation="eager").eval()
    try:
        fused = kind._from_config(copy.deepcopy(config), attn_implementation="sdpa").eval()
    except ValueError:  # there is eager attention alone
        return eager, eager, inputs()
    fused.load_state_dict(eager.state_dict())
    return fused, eager, inputs()


def eager_maps(output: Any) -> list[Tensor]:
    """Every map that the model itself returns."""
    fields = ("encoder_attentions", "decoder_attentions", "cross_attentions", "attentions")
    maps = [value for field in fields for value in getattr(output, field, None) or ()]
    if maps and isinstance(maps[0], dict):  # PegasusX; its blocks come after the heads there
        maps = [*(value["global"] for value in maps[:1]), maps[0]["local"].transpose(1, 2), *maps[1:]]
    # The queries of global attention come last there.
    fields = ("global_attentions", "encoder_global_attentions")
    return maps + [value.transpose(2, 3) for field in fields for value in getattr(output, field, None) or ()]


def assert_found(expected: list[Tensor], found: dict[str, Tensor]) -> None:
    """Each expected map is one of those found, and nothing else was found."""
    assert expected
    assert len(found) == len(expected)
    rest = list(found.values())
    for wanted in expected:
        near = [
            index
            for index, value in enumerate(rest)
            if value.shape == wanted.shape and torch.allclose(value, wanted, atol=1e-5, rtol=0)
        ]
        assert near, (tuple(wanted.shape), {name: tuple(value.shape) for name, value in found.items()})
        del rest[near[0]]


@pytest.mark.parametrize("family", FAMILIES)
def test_maps_of_transformers_equal_eager_ones(family: str) -> None:
    fused, eager, inputs = built(FAMILIES[family])
    with torch.no_grad():
        expected = eager_maps(eager(**inputs, output_attentions=True))
        with observe(fused, ["attn"]) as observation:
            fused(**inputs)
    found = observation.values
    found.pop("attn:head.attention", None)  # of a pooling head, which transformers does not show
    real = inputs.get("attention_mask") if "pixel_values" not in inputs else None
    if family not in ("Longformer", "Longformer, global", "LED", "LongT5", "PegasusX") and real is not None:
        # A padded query looks at nothing: kernels return zeros, eager attention anything.
        expected, found = _of_real_queries(expected, found, real)
    assert_found(expected, found)


def _of_real_queries(
    expected: list[Tensor], found: dict[str, Tensor], real: Tensor
) -> tuple[list[Tensor], dict[str, Tensor]]:
    def masked(maps: Tensor) -> Tensor:
        return maps * real[:, None, :, None] if maps.size(2) == real.size(1) else maps

    return [masked(maps) for maps in expected], {name: masked(maps) for name, maps in found.items()}


GENERATING = ["Llama", "Mistral", "Qwen2", "GptOss", "GPT2"]


@pytest.mark.parametrize("cache", ["dynamic", "static"])
@pytest.mark.parametrize("family", GENERATING)
def test_maps_of_decoding_steps_equal_eager_ones(family: str, cache: str) -> None:
    library = import_transformers()
    name, settings, _ = FAMILIES[family]
    kind = getattr(library, name.replace("Model", "LMHeadModel" if family == "GPT2" else "ForCausalLM"))
    fused, eager, inputs = built((kind.__name__, settings, lambda: tokens(padded_left=True)))
    call = {**inputs, "max_new_tokens": 4, "do_sample": False, "cache_implementation": cache, "pad_token_id": 0}
    call["disable_compile"] = True
    with torch.no_grad():
        expected = eager.generate(**call, output_attentions=True, return_dict_in_generate=True).attentions
        with observe(fused, ["attn[:]"]) as observation:
            fused.generate(**call)
    steps = [value for key in observation.values for value in _listed(observation[key])]
    flat = [maps for step in expected for maps in step]
    assert len(steps) == len(flat) == 8
    real = inputs["attention_mask"]
    for wanted in flat:
        # Of the prompt only real tokens look at anything.
        rows = real[:, None, :, None] if wanted.size(2) == real.size(1) else torch.ones(1)
        assert any(
            value.shape == wanted.shape and torch.allclose(value * rows, wanted * rows, atol=1e-5, rtol=0)
            for value in steps
        ), wanted.shape


def _listed(value: Any) -> list[Tensor]:
    return value if isinstance(value, list) else [value]


NARROW = {"img_size": 64, "embed_dim": 96, "num_heads": 4, "depth": 2}
TIMM: dict[str, dict[str, Any]] = {
    "vit_tiny_patch16_224": {"img_size": 64, "depth": 2},
    "deit_tiny_distilled_patch16_224": {"img_size": 64, "depth": 2},
    "vit_base_patch16_siglip_224": NARROW,
    "beit_base_patch16_224": NARROW,
    "eva02_tiny_patch14_224": {"img_size": 56, "depth": 2},
    "cait_xxs24_224": {"img_size": 64, "depth": 2},
    "xcit_nano_12_p16_224": {"img_size": 64, "depth": 2},
    "swin_tiny_patch4_window7_224": {"img_size": 56, "embed_dim": 24, "depths": (1, 2, 1, 1)},
    "swinv2_tiny_window8_256": {"img_size": 64, "embed_dim": 24, "depths": (1, 2, 1, 1)},
    "pvt_v2_b0": {"depths": (1, 1, 1, 1)},
    "levit_128s": {},
    "twins_svt_small": {"img_size": 64, "depths": (2, 1, 1, 1)},
    "maxvit_rmlp_pico_rw_256": {"depths": (1, 1, 1, 1)},
}


@pytest.mark.parametrize("name", TIMM)
def test_maps_of_timm_equal_the_softmaxes_of_unfused_attention(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    timm = import_timm()
    from timm.layers import set_fused_attn

    try:
        set_fused_attn(False)
        torch.manual_seed(0)
        unfused = timm.create_model(name, **TIMM[name]).eval()
        set_fused_attn(True)
        fused = timm.create_model(name, **TIMM[name]).eval()
    finally:
        set_fused_attn(True)
    fused.load_state_dict(unfused.state_dict())
    size = TIMM[name].get("img_size", unfused.default_cfg["input_size"][-1])
    x = torch.randn(1, 3, size, size)
    with torch.no_grad():
        expected = softmaxes_of(unfused, x, monkeypatch)
        with observe(fused, ["attn"]) as observation:
            fused(x)
    assert_found(expected, observation.values)


def softmaxes_of(model: nn.Module, x: Tensor, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What every softmax of an unfused model returned, by replacing torch's functions."""
    seen: list[Tensor] = []
    softmax = Tensor.softmax

    def record(scores: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        seen.append(softmax(scores, *args, **kwargs))
        return seen[-1]

    # nn.Softmax and F.softmax end here, too.
    with monkeypatch.context() as patch:
        patch.setattr(Tensor, "softmax", record)
        model(x)
    return seen
