"""How the time of ms.profile() grows with the number of layers (CPU time)."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn

import torchstat_cli as ms
from benchmarks.figures import Figure, Settings
from benchmarks.timing import interleave

_BLOCKS = (10, 100, 1000)
_GOAL = 1.25  # linear, with room for noise


class Block(nn.Module):
    """A pre-norm feed-forward block with a residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, tokens, width)`` to the same."""
        result: Tensor = x + self.contract(torch.nn.functional.gelu(self.expand(self.norm(x))))
        return result


class Busy(nn.Module):
    """A leaf that runs ten operators itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.empty(width))

    def forward(self, x: Tensor) -> Tensor:
        """``(batch, tokens, width)`` to the same."""
        for _ in range(5):
            x = (x * self.scale).tanh()
        return x


def stack(blocks: int) -> nn.Module:
    """A chain of equal blocks on meta."""
    with torch.device("meta"):
        return nn.Sequential(*(Block(64) for _ in range(blocks))).eval()


def vast() -> nn.Module:
    """10,000 leaf modules, 100,000 operator calls, on meta."""
    with torch.device("meta"):
        return nn.Sequential(*(Busy(64) for _ in range(10_000))).eval()


def figures(settings: Settings) -> Iterator[Figure]:
    """Time per block as the chain grows."""
    inputs = torch.empty(1, 16, 64, device="meta")
    models = {count: stack(count) for count in _BLOCKS}
    actions = {str(count): lambda model=model: ms.profile(model, inputs) for count, model in models.items()}
    seconds = {int(name): statistics.median(times) for name, times in interleave(actions, settings.rounds).items()}
    for fewer, more in pairwise(_BLOCKS):
        per_block, before = (1e6 * seconds[count] / count for count in (more, fewer))
        subject = f"{more} blocks, time per block against {fewer}"
        yield Figure(subject, per_block / before, "x", _GOAL, details=f"{per_block:.0f} µs against {before:.0f} µs")
