"""One module called several times: its parameters count once, its work each time."""

from __future__ import annotations

from torch import Tensor, nn

from .examples import example_inputs
from .sizes import require_sizes


class SharedBlock(nn.Module):
    """The same block three times in a row, added to its input."""

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__()
        require_sizes(width=width, num_classes=num_classes)
        self.block = nn.Sequential(nn.Linear(width, width), nn.Tanh())
        self.head = nn.Linear(width, num_classes)

    def forward(self, features: Tensor) -> Tensor:
        """Features ``(batch, width)`` to logits ``(batch, num_classes)``."""
        for _ in range(3):
            features = features + self.block(features)
        logits: Tensor = self.head(features)
        return logits


@example_inputs("4,64")
def called_three_times(width: int = 64, num_classes: int = 10) -> SharedBlock:
    """A weight-shared residual network."""
    return SharedBlock(width, num_classes)
