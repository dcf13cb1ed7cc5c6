"""A multilayer perceptron."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from .examples import example_inputs
from .sizes import require_sizes


@example_inputs("1,784")
def mlp(features: int = 784, width: int = 256, depth: int = 2, num_classes: int = 10) -> nn.Sequential:
    """``depth`` hidden layers with ReLU; features ``(batch, features)`` to logits ``(batch, num_classes)``."""
    require_sizes(features=features, width=width, depth=depth, num_classes=num_classes)
    widths = [features, *[width] * depth]
    layers = [layer for pair in pairwise(widths) for layer in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(widths[-1], num_classes))
