"""Functional code only: bare parameters, no child module that a hook could see."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .examples import example_inputs
from .layers import merge_heads, split_heads, weight
from .sizes import head_width, require_sizes


class FunctionalOnly(nn.Module):
    """Convolve into patches, attend, mix with ``@`` and einsum: four contractions that belong to the root."""

    def __init__(self, width: int, heads: int, num_classes: int) -> None:
        super().__init__()
        require_sizes(num_classes=num_classes)
        head_width(width, heads)
        self.heads = heads
        self.filters = weight(width, 3, 4, 4)
        self.qkv = weight(width, 3 * width)
        self.projection = weight(width, width)
        self.classes = weight(num_classes, width)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(batch, 3, height, width)``, sides multiples of 4, to logits ``(batch, num_classes)``."""
        tokens = F.conv2d(images, self.filters, stride=4).flatten(2).transpose(1, 2)
        queries, keys, values = (split_heads(part, self.heads) for part in (tokens @ self.qkv).chunk(3, dim=-1))
        attended = merge_heads(F.scaled_dot_product_attention(queries, keys, values))
        tokens = F.gelu(torch.einsum("btw,wv->btv", attended, self.projection))
        return tokens.mean(dim=1) @ self.classes.T


@example_inputs("1,3,32,32")
def functional_only(width: int = 32, heads: int = 4, num_classes: int = 10) -> FunctionalOnly:
    """No child modules at all."""
    return FunctionalOnly(width, heads, num_classes)
