"""What an engine reports while a model runs, and the signal that ends a run early."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn


class Stop(BaseException):
    """Everything that was asked for has been kept: nothing after this point needs to run.

    Not an ``Exception``: a model that catches its own errors must not catch this.
    """


@dataclass(frozen=True, slots=True)
class Event:
    """One module call or operator call that yields a value."""

    name: str  # node name, repetitions numbered: "layer1.0.relu_1"
    path: str  # of the module called, or of the module that ran the operator
    call: int  # 0 is the first
    module: nn.Module | None = None  # None for an operator
    operator: str | None = None  # None for a module


MapSource = Callable[[], Any]
"""Computes an attention map, only when somebody wants it."""
