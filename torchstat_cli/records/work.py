"""What operator calls cost together: one field for each number that adds up over calls."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The costs of some operator calls, which every record of several calls has."""

    madds: int = 0  # MACs
    flops: int = 0  # floating-point operations
    mem_read: int = 0  # bytes
    mem_write: int = 0  # bytes


COSTS = tuple(field.name for field in fields(Work))
"""The names of these costs, in the order of reports."""


def costs_of(record: Any) -> dict[str, int]:
    """The costs in ``record`` by name."""
    return {name: getattr(record, name) for name in COSTS}


def moved_bytes(record: Any) -> int:
    """What the calls in ``record`` read and write."""
    read: int = record.mem_read
    written: int = record.mem_write
    return read + written


def intensity(record: Any) -> float | None:
    """FLOPs per byte moved; None where nothing moved."""
    moved = moved_bytes(record)
    return record.flops / moved if moved else None
