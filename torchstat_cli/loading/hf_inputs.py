"""The usual inputs of a transformers model, read from its class and its configuration."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch

_TOKENS = 128  # a short text; costs at another length are one --input away
_IMAGE_SIZE = 224  # of configurations that name none
_SAMPLES = 16_000  # one second of speech
_FRAMES = 3_000  # spectrogram columns of a 30 s window
_SPECIAL_TOKENS = (
    "pad_token_id",
    "eos_token_id",
    "bos_token_id",
    "image_token_id",
    "image_token_index",
    "video_token_id",
)
_LENGTHS = ("max_position_embeddings", "n_positions", "max_target_positions", "n_ctx", "max_seq_len")


def usual_inputs(model_class: Any, config: Any) -> dict[str, torch.Tensor] | None:
    """Keyword arguments of one ordinary forward call, batch 1, on the CPU; None for a kind of input unknown here."""
    main = model_class.main_input_name
    accepted = inspect.signature(model_class.forward).parameters
    if hasattr(config, "lags_sequence") and "past_time_features" in accepted:
        return _lagged_series(config)
    inputs: dict[str, torch.Tensor] = {}
    for name in [main] if isinstance(main, str) else main:
        if name not in _MAKERS or (name == "past_values" and not hasattr(config, "num_input_channels")):
            return None
        inputs[name] = _MAKERS[name](config)
    if "input_ids" in inputs and _sees_beside_text(config) and "pixel_values" in accepted:
        inputs |= _patch_sequence(config) if "spatial_shapes" in accepted else {"pixel_values": _image(config)}
    elif "input_ids" in inputs and _hears_beside_text(config) and "input_features" in accepted:
        inputs |= _audio_image(config)
    elif getattr(config, "model_type", "") in _IMAGE_TOKENS and "pixel_values" in accepted:
        inputs["pixel_values"] = _image(config)
        inputs["input_ids"] = _text_with_image(config)
    if getattr(config, "is_encoder_decoder", False) and "decoder_input_ids" in accepted:
        inputs["decoder_input_ids"] = _text(config)
    return inputs


def leaves_images_out(model_class: Any, config: Any) -> bool:
    """Whether the usual input of a multimodal model is text alone, because its images need a processor."""
    accepted = inspect.signature(model_class.forward).parameters
    inputs = usual_inputs(model_class, config)
    return inputs is not None and "pixel_values" in accepted and "pixel_values" not in inputs


def _text(config: Any) -> torch.Tensor:
    """Token ids, int64 of shape (1, length); none of them is padding or stands for an image."""
    text = config.get_text_config(decoder=True) if hasattr(config, "get_text_config") else config
    limits = [limit for limit in _attributes(text, _LENGTHS) if isinstance(limit, int) and limit > 0]
    special = [
        token for owner in (config, text) for value in _attributes(owner, _SPECIAL_TOKENS) for token in _listed(value)
    ]
    token = next(candidate for candidate in range(len(special) + 1) if candidate not in special)
    return torch.full((1, min([_TOKENS, *limits])), token, dtype=torch.int64)


def _text_with_image(config: Any) -> torch.Tensor:
    """The text with one image's placeholder tokens before it, where the configuration names such a token."""
    image_token = _attributes(config, ("image_token_id", "image_token_index"))[:1]
    placeholders = torch.tensor(image_token * _IMAGE_TOKENS[config.model_type](config), dtype=torch.int64)
    return torch.cat([placeholders[None], _text(config)], dim=1)


def _sees_beside_text(config: Any) -> bool:
    """Text and image go in side by side: CLIP joins them at the end, ViLT at once."""
    towers = hasattr(config, "text_config") and hasattr(config, "vision_config")
    one_stream = hasattr(config, "vocab_size") and hasattr(config, "image_size")
    return (towers or one_stream) and not list(_attributes(config, ("image_token_id", "image_token_index")))


def _hears_beside_text(config: Any) -> bool:
    """CLAP's kind: text and audio side by side, joined only at the end."""
    return hasattr(config, "text_config") and hasattr(config, "audio_config") and hasattr(config, "projection_dim")


def _patch_sequence(config: Any) -> dict[str, torch.Tensor]:
    """An image cut into a square of patches, for models that take any number of them (SigLIP 2)."""
    vision = config.vision_config
    side = int(vision.num_patches**0.5)
    return {
        "pixel_values": torch.zeros(1, side**2, vision.num_channels * vision.patch_size**2),
        "pixel_attention_mask": torch.ones(1, side**2, dtype=torch.int64),
        "spatial_shapes": torch.tensor([[side, side]]),
    }


def _audio_image(config: Any) -> dict[str, torch.Tensor]:
    """A spectrogram (1, 1, frames, mels) just long enough to fold into a square, and that it was not cut."""
    audio = config.audio_config
    frames = audio.spec_size * (audio.spec_size // audio.num_mel_bins)
    features = torch.zeros(1, 4 if audio.enable_fusion else 1, frames, audio.num_mel_bins)
    return {"input_features": features, "is_longer": torch.zeros(1, 1, dtype=torch.bool)}


def _patches(config: Any) -> int:
    vision = config.vision_config
    return int(vision.image_size // vision.patch_size) ** 2


_IMAGE_TOKENS: dict[str, Callable[[Any], int]] = {
    "llava": _patches,
    "vipllava": _patches,
    "paligemma": _patches,
    "gemma3": lambda config: int(config.mm_tokens_per_image),
    "blip-2": lambda config: int(config.num_query_tokens),
}
"""How many placeholder tokens one image takes, by model type."""


def _image(config: Any) -> torch.Tensor:
    """An image (1, channels, height, width), or a clip (1, frames, channels, height, width) for video models."""
    vision = getattr(config, "vision_config", config)
    size = next(iter(_attributes(vision, ("image_size", "crop_size"))), _IMAGE_SIZE)
    if isinstance(size, dict):
        size = (size["height"], size["width"])
    height, width = (size[0], size[-1]) if isinstance(size, Sequence) else (size, size)
    channels = next(iter(_attributes(vision, ("num_channels", "in_channels", "in_chans"))), 3)
    frames = list(_attributes(vision, ("num_frames", "frames_per_clip")))
    return torch.zeros(1, *frames[:1], channels, height, width)


def _spectrogram(config: Any) -> torch.Tensor:
    """Audio features: (1, mels, frames) for Whisper's kind, (1, frames, mels) for all others."""
    audio = next((value for value in _attributes(config, ("encoder_config", "audio_config"))), config)
    sizes = ("num_mel_bins", "input_feat_per_channel", "feature_projection_input_dim", "n_mels")
    mels = next(iter(_attributes(audio, sizes)), 80)
    positions = getattr(audio, "max_source_positions", None)
    if hasattr(audio, "num_mel_bins") and positions and not hasattr(audio, "input_feat_per_channel"):
        return torch.zeros(1, mels, 2 * positions)  # the encoder's second convolution halves the length
    return torch.zeros(1, min(_FRAMES, positions or _FRAMES), mels)


def _waveform(config: Any) -> torch.Tensor:
    """Raw audio (1, samples), a channel axis for codecs; a spectrogram (1, frames, mels) where it has this name."""
    if hasattr(config, "frequency_stride"):
        return torch.zeros(1, config.max_length, config.num_mel_bins)
    if hasattr(config, "codebook_size"):
        return torch.zeros(1, getattr(config, "audio_channels", 1), getattr(config, "sampling_rate", _SAMPLES))
    return torch.zeros(1, _SAMPLES)


def _series(config: Any) -> torch.Tensor:
    """A time series (1, steps, channels) of models that take nothing else."""
    return torch.zeros(1, config.context_length, config.num_input_channels)


def _lagged_series(config: Any) -> dict[str, torch.Tensor]:
    """A time series that is also read a season ago and more, its calendar, and what followed, as in a training step."""
    past, future = config.context_length + max(config.lags_sequence), config.prediction_length
    width = (config.input_size,) if config.input_size > 1 else ()
    inputs = {
        "past_values": torch.zeros(1, past, *width),
        "past_time_features": torch.zeros(1, past, config.num_time_features),
        "past_observed_mask": torch.ones(1, past, *width),
        "future_values": torch.zeros(1, future, *width),
        "future_time_features": torch.zeros(1, future, config.num_time_features),
    }
    if config.num_static_categorical_features:
        inputs["static_categorical_features"] = torch.zeros(
            1, config.num_static_categorical_features, dtype=torch.int64
        )
    if config.num_static_real_features:
        inputs["static_real_features"] = torch.zeros(1, config.num_static_real_features)
    return inputs


def _vectors(config: Any) -> torch.Tensor:
    """A sequence of vectors (1, length, width) for models without an embedding of their own (Perceiver)."""
    return torch.zeros(1, _TOKENS, config.d_model)


_MAKERS: dict[str, Callable[[Any], torch.Tensor]] = {
    "inputs": _vectors,
    "past_values": _series,
    "input_ids": _text,
    "pixel_values": _image,
    "pixel_values_videos": _image,
    "input_features": _spectrogram,
    "input_values": _waveform,
}


def _attributes(owner: Any, names: Sequence[str]) -> list[Any]:
    """The values of those attributes that are there and set, in order."""
    return [value for value in (getattr(owner, name, None) for name in names) if value is not None]


def _listed(value: Any) -> list[Any]:
    """A token id, or the several that some configurations give, as a list."""
    return list(value) if isinstance(value, (list, tuple)) else [value]
