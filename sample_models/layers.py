"""Parts that several sample models share.

Arithmetic and normal sampling on the meta device import torch._dynamo and sympy, most of a second. Everything here
draws from uniform distributions only, so that a model is built on meta as cheaply as an empty one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def weight(*shape: int) -> nn.Parameter:
    """A parameter of this shape with Glorot's uniform initialisation over its last two axes."""
    parameter = nn.Parameter(torch.empty(shape))
    bound = (6 / (shape[-1] + shape[-2])) ** 0.5
    nn.init.uniform_(parameter, -bound, bound)
    return parameter


def embedding(vocab_size: int, width: int) -> nn.Embedding:
    """A trainable table of ``vocab_size`` vectors; torch's own initialisation would sample normally."""
    table = weight(vocab_size, width).detach()
    layer: nn.Embedding = nn.Embedding.from_pretrained(table, freeze=False)
    return layer


def split_heads(tokens: Tensor, heads: int) -> Tensor:
    """``(batch, tokens, heads × channels)`` as ``(batch, heads, tokens, channels)``, a view."""
    batch, length, _ = tokens.shape
    return tokens.reshape(batch, length, heads, -1).transpose(1, 2)


def merge_heads(tokens: Tensor) -> Tensor:
    """``(batch, heads, tokens, channels)`` as ``(batch, tokens, heads × channels)``."""
    return tokens.transpose(1, 2).flatten(2)
