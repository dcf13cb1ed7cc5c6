"""One model to measure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

GOAL = 1.0
"""Largest error in percent."""


@dataclass(frozen=True)
class Case:
    """One model to measure."""

    name: str
    words: str  # the name and its sizes, for people
    build: Callable[[], nn.Module]
    inputs: Callable[[], dict[str, Tensor]]
    goal: float = GOAL  # largest error in percent
    loss: Callable[[Any], Tensor] | None = None
    outlier: bool = False  # its peak was wrong by more than the goal once
    exception: str = ""  # why the goal is not reached, where it is known not to be
