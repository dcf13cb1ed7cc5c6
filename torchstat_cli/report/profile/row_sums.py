"""Rows added up: by module type, and whatever a view leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torchstat_cli.records import SUMMED, ModuleRecord, Totals, TrainingCost, Work, summed_training


@dataclass(frozen=True, slots=True)
class TypeTotal(Work):
    """All modules of one class."""

    type: str  # class name
    modules: int  # rows added up
    calls: int  # forward calls of all of them
    params: int
    trainable_params: int
    buffers: int
    memory: int  # bytes
    duration_s: float | None = None  # seconds, when timed
    training: TrainingCost | None = None  # when the run trained


def by_type(rows: Iterable[ModuleRecord]) -> tuple[TypeTotal, ...]:
    """One row per class, in order of first appearance."""
    groups: dict[str, list[ModuleRecord]] = {}
    for row in rows:
        groups.setdefault(row.type, []).append(row)
    return tuple(_type_total(name, members) for name, members in groups.items())


def _type_total(name: str, members: Sequence[ModuleRecord]) -> TypeTotal:
    sums = {column: sum(getattr(row, column) for row in members) for column in SUMMED}
    calls = sum(row.calls for row in members)
    return TypeTotal(
        type=name,
        modules=len(members),
        calls=calls,
        duration_s=total_duration(members),
        training=summed_training(members),
        **sums,
    )


def sum_rows(rows: Sequence[Any], *, lower_bound: bool) -> Totals:
    """The sums of ``rows`` of any kind; a column that they do not have is 0."""
    sums = {column: sum(getattr(row, column, 0) for row in rows) for column in SUMMED}
    return Totals(
        param_bytes=0,
        buffer_bytes=0,
        duration_s=total_duration(rows),
        lower_bound=lower_bound,
        training=summed_training(rows),
        **sums,
    )


def total_duration(rows: Sequence[Any]) -> float | None:
    """Seconds of all ``rows`` together; ``None`` when none was timed."""
    timed = [row.duration_s for row in rows if getattr(row, "duration_s", None) is not None]
    return sum(timed) if timed else None
