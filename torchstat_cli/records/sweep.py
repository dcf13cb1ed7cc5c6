"""Many models in one table: a row for each, also for one that failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["ok", "failed", "timeout", "died"]
"""failed: it cannot be built or run; timeout: it took too long; died: its process did, for want of memory perhaps."""

Key = tuple[str, tuple[tuple[str, str], ...]]
"""Model and variant."""

SWEEP_NUMBERS = (
    *("params", "trainable_params", "buffers", "param_bytes", "madds", "flops"),
    *("memory", "mem_read", "mem_write", "peak", "intensity"),
)
"""What a row holds of a model's totals, in the order of the columns."""


@dataclass(frozen=True, slots=True)
class SweepTask:
    """One model to measure, and how."""

    model: str  # spec
    variant: Mapping[str, str] = field(default_factory=dict)  # what varies: {"batch": "4", "arg.depth": "12"}

    @property
    def key(self) -> Key:
        """Which row it becomes."""
        return self.model, tuple(self.variant.items())


@dataclass(frozen=True, slots=True)
class SweepRow:
    """What one model costs, or why that is not known."""

    model: str  # spec
    variant: Mapping[str, str]
    status: Status
    error: str | None = None  # cause and remedy, on one line
    kind: str | None = None  # the model's class
    input: str | None = None  # shapes: "1x3x224x224"
    placement: str | None = None  # where it ran, as in a profile
    lower_bound: bool | None = None  # an operator has no formula
    numbers: Mapping[str, int | float | None] = field(default_factory=dict)  # by name, of SWEEP_NUMBERS

    @property
    def key(self) -> Key:
        """Which row this is."""
        return self.model, tuple(self.variant.items())


@dataclass(frozen=True, slots=True)
class SweepResult:
    """The rows of a sweep, in the order of its models."""

    rows: tuple[SweepRow, ...]
    varied: tuple[str, ...] = ()  # what varies, in order: each is a column
    settings: Mapping[str, Any] = field(default_factory=dict)  # how every model was measured

    @property
    def failed(self) -> int:
        """How many rows have no numbers."""
        return sum(row.status != "ok" for row in self.rows)
