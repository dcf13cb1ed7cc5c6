"""Counts and bytes in the units that a view asks for."""

from __future__ import annotations

from typing import Literal

from torchstat_cli.units import format_bytes, format_bytes_in, format_count, format_count_in

Units = Literal["auto", "raw", "k", "M", "G", "T"]


def count_text(value: int, units: Units) -> str:
    """A count: ``11.69 M`` by itself, ``11689512`` raw, ``0.01169 G`` in a unit."""
    if units == "auto":
        return format_count(value)
    return str(value) if units == "raw" else format_count_in(value, units)


def size_text(value: int, units: Units) -> str:
    """Bytes: ``48.75 MiB`` by themselves, ``51116224 B`` raw, ``0.04761 GiB`` in a unit."""
    if units == "auto":
        return format_bytes(value)
    return f"{value} B" if units == "raw" else format_bytes_in(value, units)
