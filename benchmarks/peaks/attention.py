"""Attention of torch's own modules, with their fused paths and without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from benchmarks.peaks.case import Case

_WIDTH, _HEADS = 128, 8


class Checkpointed(nn.Module):
    """A transformer that keeps only the input of each layer and runs it again in the backward pass."""

    def __init__(self, width: int = 256, heads: int = 4, depth: int = 6) -> None:
        super().__init__()
        layers = [
            nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=0.0, batch_first=True) for _ in range(depth)
        ]
        self.layers = nn.ModuleList(layers)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(batch, tokens, width)`` in and out."""
        for layer in self.layers:
            tokens = checkpoint(layer, tokens, use_reentrant=False)
        return tokens


class Encoder(nn.Module):
    """torch's encoder, with a causal mask where it is asked for, and with the lengths that it is given."""

    def __init__(self, causal: bool = False, nested: bool = False, **options: Any) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(_WIDTH, _HEADS, 2 * _WIDTH, dropout=0.0, batch_first=True, **options)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=nested)
        self.causal = causal

    def forward(self, tokens: Tensor, padding: Tensor | None = None) -> Tensor:
        """``(batch, tokens, width)`` in and out; ``padding`` is true where there is no token."""
        mask = None
        if self.causal:
            mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1], device=tokens.device)
        encoded: Tensor = self.encoder(tokens, mask=mask, src_key_padding_mask=padding)
        return encoded


class SelfAttention(nn.Module):
    """``nn.MultiheadAttention`` of a sequence with itself."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(_WIDTH, _HEADS, batch_first=True)
        self.options = options

    def forward(self, tokens: Tensor, padding: Tensor | None = None) -> Tensor:
        """``(batch, tokens, width)`` in and out."""
        attended: Tensor = self.attention(tokens, tokens, tokens, key_padding_mask=padding, **self.options)[0]
        return attended


class WideValues(nn.Module):
    """Values wider than the keys, which no fused kernel of the CPU takes: attention in its plain form."""

    def __init__(self) -> None:
        super().__init__()
        self.keys, self.values = nn.Linear(_WIDTH, _WIDTH), nn.Linear(_WIDTH, 2 * _WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(batch, tokens, width)`` to ``(batch, heads, tokens, 2 * width / heads)``."""
        keys, values = (layer(tokens).unflatten(-1, (_HEADS, -1)).transpose(1, 2) for layer in (self.keys, self.values))
        return F.scaled_dot_product_attention(keys, keys, values)


class Translator(nn.Module):
    """torch's encoder and decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.transformer = nn.Transformer(_WIDTH, _HEADS, 2, 2, 2 * _WIDTH, dropout=0.0, batch_first=True)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """``(batch, tokens, width)`` twice, to the second."""
        decoded: Tensor = self.transformer(source, target)
        return decoded


def attention_cases() -> Iterator[Case]:
    """The models."""
    states = lambda: {"tokens": torch.randn(8, 256, 256)}  # noqa: E731
    yield Case("checkpointed", "checkpointed transformer", Checkpointed, states)
    long, short = (4, 1024), (64, 8)
    yield Case("encoder", "encoder, 4 x 1024 tokens", Encoder, lambda: _tokens(*long), outlier=True)
    yield Case("encoder-short", "encoder, 64 x 8 tokens", lambda: Encoder(norm_first=True, activation="gelu"),
               lambda: _tokens(*short), outlier=True)  # fmt: skip
    yield Case("encoder-causal", "encoder, causal", lambda: Encoder(causal=True), lambda: _tokens(4, 256), outlier=True)
    lengths = "torch packs the tokens into a nested tensor of the real lengths, which a simulation does not know"
    padded = lambda: Encoder(nested=True)  # noqa: E731
    yield Case("encoder-padded", "encoder, padded", padded, _padded, outlier=True, exception=lengths)
    yield Case("mha", "nn.MultiheadAttention, with weights", SelfAttention, lambda: _tokens(4, 256), outlier=True)
    yield Case("mha-padded", "nn.MultiheadAttention, padded", lambda: SelfAttention(need_weights=False), _padded)
    yield Case("wide-values", "plain attention", WideValues, lambda: _tokens(4, 256), outlier=True)
    both = lambda: {"source": torch.randn(4, 128, _WIDTH), "target": torch.randn(4, 96, _WIDTH)}  # noqa: E731
    yield Case("translator", "nn.Transformer", Translator, both)


def _tokens(batch: int, length: int) -> dict[str, Tensor]:
    return {"tokens": torch.randn(batch, length, _WIDTH)}


def _padded() -> dict[str, Tensor]:
    padding = torch.zeros(4, 256, dtype=torch.bool)
    padding[1:, 200:] = True
    return {"tokens": torch.randn(4, 256, _WIDTH), "padding": padding}
