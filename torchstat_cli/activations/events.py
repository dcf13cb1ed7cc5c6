"""What an engine reports while a model runs, and the signal that ends a run early."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn


class Stop(BaseException):
    """Everything that was asked for has been kept: nothing after this point needs to run.

    Not an ``Exception``: a model that catches its own errors must not catch this. ``owner`` is whoever raised it, since
    one observed run may go on inside another.
    """

    def __init__(self, owner: object) -> None:
        super().__init__()
        self.owner = owner


@dataclass(frozen=True, slots=True)
class Event:
    """One module call or operator call that yields a value."""

    name: str  # node name, repetitions within a forward pass numbered: "layer1.0.relu_1"
    path: str  # of the module called, or of the module that ran the operator
    call: int  # within the forward pass; 0 is the first
    module: nn.Module | None = None  # None for an operator
    operator: str | None = None  # None for a module
    turn: int = 0  # which forward pass it belongs to; 1 is the first


MapPart = Literal["map", "window", "sinks"]
"""What a map's last axis is: keys; places in a window around each query; columns that are no keys."""


@dataclass(frozen=True, slots=True)
class FoundMap:
    """One attention map, (batch, heads, queries, keys) wherever the attention module says how many heads it has."""

    path: str  # of the attention module
    name: str  # calls numbered, then the part: "blocks.0.attn", "blocks.0.attn_1", "encoder.0.self.window"
    part: MapPart
    maps: Tensor  # detached, and nobody else's
