"""Models that take more than one plain tensor: two positional inputs, and one dictionary."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .examples import example_inputs
from .layers import embedding
from .sizes import require_sizes


class ImageTextSimilarity(nn.Module):
    """Cosine similarity of an image and a text, each encoded by its own small tower."""

    def __init__(self, vocab_size: int, width: int) -> None:
        super().__init__()
        require_sizes(vocab_size=vocab_size, width=width)
        self.image_encoder = nn.Sequential(
            nn.Conv2d(3, width, kernel_size=4, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.text_embedding = embedding(vocab_size, width)
        self.text_encoder = nn.Linear(width, width)

    def forward(self, images: Tensor, ids: Tensor) -> Tensor:
        """Images ``(batch, 3, height, width)`` and identifiers ``(batch, tokens)`` to similarities ``(batch,)``."""
        texts = self.text_encoder(self.text_embedding(ids).mean(dim=1))
        return F.cosine_similarity(self.image_encoder(images), texts, dim=-1)


@example_inputs("2,3,32,32", "2,8:int64<256")
def two_inputs(vocab_size: int = 1000, width: int = 32) -> ImageTextSimilarity:
    """Two positional inputs of different dtypes."""
    return ImageTextSimilarity(vocab_size, width)


class BatchRegressor(nn.Module):
    """A regression over the fields of one batch dictionary."""

    def __init__(self, features: int, categories: int, width: int) -> None:
        super().__init__()
        require_sizes(features=features, categories=categories, width=width)
        self.features = nn.Linear(features, width)
        self.category = embedding(categories, width)
        self.head = nn.Linear(width, 1)

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """``features`` ``(batch, features)`` and ``category`` ``(batch,)`` to ``prediction`` ``(batch,)``."""
        hidden = F.relu(self.features(batch["features"]) + self.category(batch["category"]))
        return {"prediction": self.head(hidden).squeeze(-1)}


def _batch() -> tuple[tuple[Any, ...], dict[str, Any]]:
    """One dictionary as the only positional argument."""
    return ({"features": torch.ones(4, 8), "category": torch.zeros(4, dtype=torch.int64)},), {}


@example_inputs(_batch)
def dict_input(features: int = 8, categories: int = 10, width: int = 16) -> BatchRegressor:
    """A dictionary in, a dictionary out."""
    return BatchRegressor(features, categories, width)
