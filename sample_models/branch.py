"""A branch on the data: which layer runs cannot be known without values."""

from __future__ import annotations

from torch import Tensor, nn

from .examples import example_inputs
from .sizes import require_sizes


class DataDependentBranch(nn.Module):
    """A wide layer where the input sums to more than 0, else a narrow one."""

    def __init__(self, width: int, num_classes: int) -> None:
        super().__init__()
        require_sizes(width=width, num_classes=num_classes)
        self.positive = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, num_classes))
        self.negative = nn.Linear(width, num_classes)

    def forward(self, features: Tensor) -> Tensor:
        """Features ``(batch, width)`` to logits ``(batch, num_classes)``; needs real values."""
        layer = self.positive if features.sum() > 0 else self.negative
        logits: Tensor = layer(features)
        return logits


@example_inputs("2,16")
def data_dependent_branch(width: int = 16, num_classes: int = 4) -> DataDependentBranch:
    """Builds on the meta device, but cannot run there."""
    return DataDependentBranch(width, num_classes)
