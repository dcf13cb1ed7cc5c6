"""Vision transformer (Dosovitskiy et al. 2020) from plain linear layers and scaled dot-product attention."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .examples import example_inputs
from .layers import merge_heads, split_heads, weight
from .sizes import head_width, require_sizes


class SelfAttention(nn.Module):
    """Every token looks at every token."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        head_width(width, heads)
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(batch, tokens, width)`` in and out."""
        queries, keys, values = (split_heads(part, self.heads) for part in self.qkv(tokens).chunk(3, dim=-1))
        attended = F.scaled_dot_product_attention(queries, keys, values)
        projected: Tensor = self.projection(merge_heads(attended))
        return projected


class Block(nn.Module):
    """Attention, then a two-layer perceptron four times as wide, each normalised before and added after."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width, eps=1e-6)
        self.attention = SelfAttention(width, heads)
        self.mlp_norm = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """``(batch, tokens, width)`` in and out."""
        tokens = tokens + self.attention(self.attention_norm(tokens))
        added: Tensor = tokens + self.mlp(self.mlp_norm(tokens))
        return added


class VisionTransformer(nn.Module):
    """Patches of the image and one class token through a stack of blocks; the root owns token and positions."""

    def __init__(self, image_size: int, patch_size: int, width: int, depth: int, heads: int, num_classes: int) -> None:
        super().__init__()
        require_sizes(image_size=image_size, patch_size=patch_size, width=width, depth=depth, num_classes=num_classes)
        if image_size % patch_size:
            raise ValueError(f"patches of {patch_size} pixels do not tile an image of {image_size} pixels")
        patches = (image_size // patch_size) ** 2
        self.class_token = weight(1, 1, width)
        self.position_embedding = weight(1, 1 + patches, width)
        self.patch_embedding = nn.Conv2d(3, width, kernel_size=patch_size, stride=patch_size)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(batch, 3, image_size, image_size)`` to logits ``(batch, num_classes)``."""
        patches = self.patch_embedding(images).flatten(2).transpose(1, 2)
        tokens = torch.cat((self.class_token.expand(images.shape[0], -1, -1), patches), dim=1)
        tokens = self.norm(self.blocks(tokens + self.position_embedding))
        logits: Tensor = self.head(tokens[:, 0])
        return logits


@example_inputs("1,3,224,224")
def vit(
    width: int = 768,
    depth: int = 12,
    heads: int = 12,
    image_size: int = 224,
    patch_size: int = 16,
    num_classes: int = 1000,
) -> VisionTransformer:
    """ViT-B/16: 86,567,656 parameters as published."""
    return VisionTransformer(image_size, patch_size, width, depth, heads, num_classes)


@example_inputs("1,3,224,224")
def vit_tiny(
    width: int = 192,
    depth: int = 12,
    heads: int = 3,
    image_size: int = 224,
    patch_size: int = 16,
    num_classes: int = 1000,
) -> VisionTransformer:
    """The tiny size of Touvron et al. 2020: 5,717,416 parameters as published."""
    return VisionTransformer(image_size, patch_size, width, depth, heads, num_classes)
