"""torch's own transformer encoder, which takes a fused fast path in eval mode."""

from __future__ import annotations

from torch import Tensor, nn

from .examples import example_inputs
from .sizes import head_width, require_sizes


class EncoderClassifier(nn.Module):
    """``nn.TransformerEncoder`` and a linear layer on the mean token."""

    def __init__(self, width: int, heads: int, depth: int, feedforward: int, num_classes: int) -> None:
        super().__init__()
        head_width(width, heads)
        require_sizes(depth=depth, feedforward=feedforward, num_classes=num_classes)
        layer = nn.TransformerEncoderLayer(width, heads, feedforward, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth)
        self.head = nn.Linear(width, num_classes)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens ``(batch, tokens, width)`` to logits ``(batch, num_classes)``."""
        logits: Tensor = self.head(self.encoder(tokens).mean(dim=1))
        return logits


@example_inputs("2,16,64")
def transformer_encoder(
    width: int = 64, heads: int = 4, depth: int = 2, feedforward: int = 2048, num_classes: int = 10
) -> EncoderClassifier:
    """Post-norm layers with torch's default feed-forward width."""
    return EncoderClassifier(width, heads, depth, feedforward, num_classes)
