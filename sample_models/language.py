"""A decoder language model: rotary positions, causal attention, gated perceptrons, tied embeddings."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .examples import example_inputs
from .layers import embedding, merge_heads, split_heads
from .sizes import head_width, require_sizes


class Rotary(nn.Module):
    """Turn pairs of channels by an angle that grows with the position (Su et al. 2021)."""

    cosine: Tensor
    sine: Tensor

    def __init__(self, channels: int, context: int) -> None:
        super().__init__()
        if channels % 2:
            raise ValueError(
                f"rotary positions turn pairs of channels, but a head has {channels}; choose an even width"
            )
        frequencies = [10_000 ** (-2 * pair / channels) for pair in range(channels // 2)] * 2
        angles = [[position * frequency for frequency in frequencies] for position in range(context)]
        # Tables from Python floats: torch's arithmetic on the meta device imports torch._dynamo and sympy.
        self.register_buffer("cosine", torch.tensor([[math.cos(a) for a in row] for row in angles]), persistent=False)
        self.register_buffer("sine", torch.tensor([[math.sin(a) for a in row] for row in angles]), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(batch, heads, tokens, channels)`` in and out."""
        length = tokens.shape[-2]
        first, second = tokens.chunk(2, dim=-1)
        quarter_turn = torch.cat((-second, first), dim=-1)
        return tokens * self.cosine[:length] + quarter_turn * self.sine[:length]


class CausalSelfAttention(nn.Module):
    """Every token looks at itself and at the tokens before it."""

    def __init__(self, width: int, heads: int, rotary: Rotary) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.output = nn.Linear(width, width, bias=False)
        self.rotary = rotary

    def forward(self, tokens: Tensor) -> Tensor:
        """``(batch, tokens, width)`` in and out."""
        queries, keys, values = (split_heads(layer(tokens), self.heads) for layer in (self.query, self.key, self.value))
        attended = F.scaled_dot_product_attention(self.rotary(queries), self.rotary(keys), values, is_causal=True)
        projected: Tensor = self.output(merge_heads(attended))
        return projected


class GatedPerceptron(nn.Module):
    """Two parallel linear layers, one gating the other through SiLU, and one back (Shazeer 2020)."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(batch, tokens, width)`` in and out."""
        projected: Tensor = self.down(F.silu(self.gate(tokens)) * self.up(tokens))
        return projected


class DecoderBlock(nn.Module):
    """Attention, then a gated perceptron, each normalised before and added after."""

    def __init__(self, width: int, heads: int, rotary: Rotary) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(width, eps=1e-6)
        self.attention = CausalSelfAttention(width, heads, rotary)
        self.mlp_norm = nn.RMSNorm(width, eps=1e-6)
        self.mlp = GatedPerceptron(width, 3 * width)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(batch, tokens, width)`` in and out."""
        tokens = tokens + self.attention(self.attention_norm(tokens))
        added: Tensor = tokens + self.mlp(self.mlp_norm(tokens))
        return added


class DecoderLanguageModel(nn.Module):
    """Token identifiers to next-token logits; the output layer is the embedding table itself."""

    def __init__(self, vocab_size: int, width: int, depth: int, heads: int, context: int) -> None:
        super().__init__()
        require_sizes(vocab_size=vocab_size, depth=depth, context=context)
        # All blocks turn by the same tables: one module under several names.
        rotary = Rotary(head_width(width, heads), context)
        self.embedding = embedding(vocab_size, width)
        self.blocks = nn.Sequential(*(DecoderBlock(width, heads, rotary) for _ in range(depth)))
        self.norm = nn.RMSNorm(width, eps=1e-6)
        self.head = nn.Linear(width, vocab_size, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids: Tensor) -> Tensor:
        """Identifiers ``(batch, tokens)`` to logits ``(batch, tokens, vocab_size)``; at most ``context`` tokens."""
        logits: Tensor = self.head(self.norm(self.blocks(self.embedding(ids))))
        return logits


@example_inputs("ids=1,32:int64<256")
def decoder_lm(
    vocab_size: int = 1000, width: int = 128, depth: int = 2, heads: int = 4, context: int = 256
) -> DecoderLanguageModel:
    """A small decoder; a larger one is ``--arg width=2048 --arg depth=16 --arg heads=32``."""
    return DecoderLanguageModel(vocab_size, width, depth, heads, context)
