"""A text classifier over a bidirectional LSTM."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .examples import example_inputs
from .layers import embedding
from .sizes import require_sizes


class LstmClassifier(nn.Module):
    """Embed, read in both directions, classify from the last hidden state of each."""

    def __init__(self, vocab_size: int, width: int, hidden: int, depth: int, num_classes: int) -> None:
        super().__init__()
        require_sizes(vocab_size=vocab_size, width=width, hidden=hidden, depth=depth, num_classes=num_classes)
        self.embedding = embedding(vocab_size, width)
        self.lstm = nn.LSTM(width, hidden, num_layers=depth, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, num_classes)

    def forward(self, ids: Tensor) -> Tensor:
        """Identifiers ``(batch, tokens)`` to logits ``(batch, num_classes)``."""
        _, (hidden, _) = self.lstm(self.embedding(ids))
        # The last two of the stacked states are the top layer's two directions.
        logits: Tensor = self.head(torch.cat((hidden[-2], hidden[-1]), dim=-1))
        return logits


@example_inputs("1,16:int64<256")
def lstm_classifier(
    vocab_size: int = 1000, width: int = 32, hidden: int = 64, depth: int = 2, num_classes: int = 5
) -> LstmClassifier:
    """Two layers, two directions."""
    return LstmClassifier(vocab_size, width, hidden, depth, num_classes)
