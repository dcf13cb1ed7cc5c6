"""Every column that a report can show, in one list: its name in data, its heading, and how to read it off a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torchstat_cli.records import SUMMED, Totals

By = Literal["module", "type", "operator"]
Kind = Literal["text", "shapes", "count", "bytes", "seconds", "share", "ratio", "attributes"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a report."""

    name: str  # in CSV, JSON, DataFrames and --columns
    heading: str  # in tables for people
    kind: Kind
    rank: int  # a narrow terminal keeps low ranks longest
    derive: Callable[[Any, Totals], Any] | None = None  # from a row and the totals; None reads the field ``name``

    @property
    def is_number(self) -> bool:
        """Numbers are right-aligned, and sorted with the largest first."""
        return self.kind not in ("text", "shapes", "attributes")

    @property
    def is_summed(self) -> bool:
        """Whether adding the rows up means something, so that a totals row can show it."""
        return self.name in SUMMED or self.name in _SUMMED_HERE

    def value(self, row: Any, total: Totals) -> Any:
        """The exact value for ``row``; ``None`` where the row has none."""
        return self.derive(row, total) if self.derive else getattr(row, self.name)


_SUMMED_HERE = ("mem_total", "flops_share", "duration_s", "duration_share")


def _moved(row: Any, _: Totals) -> int:
    moved: int = row.mem_read + row.mem_write
    return moved


def _flops_share(row: Any, total: Totals) -> float | None:
    return row.flops / total.flops if total.flops else None


def _duration_share(row: Any, total: Totals) -> float | None:
    return row.duration_s / total.duration_s if total.duration_s and row.duration_s is not None else None


def _intensity(row: Any, total: Totals) -> float | None:
    moved = _moved(row, total)
    return row.flops / moved if moved else None


_ALL = (
    Column("path", "module", "text", 0),
    Column("op", "operator", "text", 0),
    Column("type", "type", "text", 5),
    Column("kind", "kind", "text", 21),
    Column("modules", "modules", "count", 13),
    Column("calls", "calls", "count", 7),
    Column("input_shape", "input shape", "shapes", 12),
    Column("output_shape", "output shape", "shapes", 11),
    Column("dtype", "dtype", "text", 22),
    Column("params", "params", "count", 2),
    Column("trainable_params", "trainable", "count", 17),
    Column("buffers", "buffers", "count", 18),
    Column("memory", "memory", "bytes", 8),
    Column("madds", "MAdds", "count", 3),
    Column("flops", "FLOPs", "count", 1),
    Column("mem_read", "MemRead", "bytes", 14),
    Column("mem_write", "MemWrite", "bytes", 15),
    Column("mem_total", "MemR+W", "bytes", 9, _moved),
    Column("flops_share", "of FLOPs", "share", 6, _flops_share),
    Column("intensity", "FLOP/byte", "ratio", 16, _intensity),
    Column("duration_s", "duration", "seconds", 4),
    Column("duration_share", "of time", "share", 10, _duration_share),
    Column("shared_with", "shared with", "text", 19),
    Column("attrs", "attributes", "attributes", 23),
)

COLUMNS: Mapping[str, Column] = {column.name: column for column in _ALL}

_COSTS = ("madds", "flops", "mem_read", "mem_write")
_TABLE: Mapping[By, tuple[str, ...]] = {
    "module": ("path", "type", "input_shape", "output_shape", "params", "memory", *_COSTS, "mem_total", "flops_share"),
    "type": ("type", "modules", "calls", "params", "memory", *_COSTS, "mem_total", "flops_share"),
    "operator": ("op", "calls", *_COSTS, "mem_total", "flops_share"),
}

_SUMS = ("params", "trainable_params", "buffers", *_COSTS, "memory", "duration_s")
_DATA: Mapping[By, tuple[str, ...]] = {
    "module": (
        *("path", "type", "kind", "calls", "input_shape", "output_shape", "dtype"),
        *_SUMS,
        *("shared_with", "attrs"),
    ),
    "type": ("type", "modules", "calls", *_SUMS),
    "operator": ("op", "calls", *_COSTS),
}

_DERIVED = ("mem_total", "flops_share", "intensity")


def table_columns(by: By, timed: bool) -> tuple[str, ...]:
    """What a table for people shows unless told otherwise; the durations only when the run was timed."""
    durations = ("duration_s", "duration_share") if timed and by != "operator" else ()
    return (*_TABLE[by], *durations)


def data_columns(by: By) -> tuple[str, ...]:
    """What a data file holds unless told otherwise: the fields of the JSON report, in its order, nothing derived.

    The duration stays, empty, when the run was not timed: the header of a file does not depend on the run.
    """
    return _DATA[by]


def available_columns(by: By) -> tuple[str, ...]:
    """The names that ``--columns`` and ``--sort`` accept for rows by module, type or operator."""
    timed = () if by == "operator" else ("duration_share",)
    return (*_DATA[by], *_DERIVED, *timed)
