"""Every column that a report can show, in one list: its name in data, its heading, and how to read it off a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from torchstat_cli.records import COSTS, SUMMED, Totals, intensity, moved_bytes

By = Literal["module", "type", "operator", "group"]
Kind = Literal["text", "shapes", "count", "bytes", "seconds", "share", "ratio", "attributes"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a report."""

    name: str  # in CSV, JSON, DataFrames and --columns
    heading: str  # in tables for people
    kind: Kind
    rank: int  # a narrow terminal keeps low ranks longest
    derive: Callable[[Any, Totals], Any] | None = None  # from a row and the totals; None reads the field ``name``
    adds_up: bool = False  # whether what is not in SUMMED can be summed over rows as well
    by: tuple[By, ...] = get_args(By)  # the rows from which it can be derived

    @property
    def is_number(self) -> bool:
        """Numbers are right-aligned, and sorted with the largest first."""
        return self.kind not in ("text", "shapes", "attributes")

    @property
    def is_summed(self) -> bool:
        """Whether adding the rows up means something, so that a totals row can show it."""
        return self.adds_up or self.name in SUMMED

    def value(self, row: Any, total: Totals) -> Any:
        """The exact value for ``row``; ``None`` where the row has none."""
        return self.derive(row, total) if self.derive else getattr(row, self.name)


def _flops_share(row: Any, total: Totals) -> float | None:
    return row.flops / total.flops if total.flops else None


def _duration_share(row: Any, total: Totals) -> float | None:
    return row.duration_s / total.duration_s if total.duration_s and row.duration_s is not None else None


def _costs(function: Callable[[Any], Any]) -> Callable[[Any, Totals], Any]:
    """Reads off ``function`` of the row's own costs."""
    return lambda row, _: function(row)


def _of(part: str, field: str) -> Callable[[Any, Totals], Any]:
    """Reads ``row.part.field``, None where the run did not look at that part."""

    def read(row: Any, _: Totals) -> Any:
        found = getattr(row, part, None)
        return None if found is None else getattr(found, field)

    return read


def _phase(name: str, heading: str, rank: int) -> Column:
    """A column of training: how the work of a step divides into its phases."""
    return Column(name, heading, "count", rank, _of("training", name), adds_up=True, by=_MODULES)


def _each(name: str, heading: str, rank: int) -> Column:
    """A column of folded rows: what one of the modules costs that a row adds up."""
    return Column(name, heading, "count", rank, _one_of(name.removesuffix("_each")), by=_ROWS)


def _one_of(field: str) -> Callable[[Any, Totals], Any]:
    """Reads the share of one module in ``row.field``; equal modules have equal shares."""

    def read(row: Any, _: Totals) -> Any:
        value = getattr(row, field)
        return value if row.modules == 1 else value // row.modules

    return read


_ROWS: tuple[By, ...] = ("module", "group")
_MODULES: tuple[By, ...] = (*_ROWS, "type")

_ALL = (
    Column("path", "module", "text", 0),
    Column("op", "operator", "text", 0),
    Column("type", "type", "text", 7),
    Column("kind", "kind", "text", 25),
    Column("modules", "modules", "count", 18),
    Column("calls", "calls", "count", 11),
    Column("input_shape", "input shape", "shapes", 17),
    Column("output_shape", "output shape", "shapes", 16),
    Column("dtype", "dtype", "text", 26),
    Column("params", "params", "count", 2),
    _each("params_each", "params each", 21),
    Column("trainable_params", "trainable", "count", 22),
    Column("buffers", "buffers", "count", 23),
    Column("memory", "memory", "bytes", 12),
    Column("madds", "MAdds (MACs)", "count", 3),
    _each("madds_each", "MAdds each", 33),
    Column("flops", "FLOPs", "count", 1),
    _each("flops_each", "FLOPs each", 18),
    Column("mem_read", "MemRead", "bytes", 19),
    Column("mem_write", "MemWrite", "bytes", 20),
    Column("mem_total", "MemR+W", "bytes", 14, _costs(moved_bytes), adds_up=True),
    Column("flops_share", "of FLOPs", "share", 8, _flops_share, adds_up=True),
    Column("intensity", "FLOP/byte", "ratio", 21, _costs(intensity)),
    Column("duration_s", "duration", "seconds", 4, adds_up=True),
    Column("duration_share", "of time", "share", 15, _duration_share, adds_up=True, by=_MODULES),
    Column("shared_with", "shared with", "text", 24),
    Column("attrs", "attributes", "attributes", 27),
    _phase("forward_madds", "fwd MAdds", 29),
    _phase("forward_flops", "fwd FLOPs", 9),
    _phase("backward_madds", "bwd MAdds", 30),
    _phase("backward_flops", "bwd FLOPs", 6),
    _phase("optimizer_flops", "opt FLOPs", 10),
    _phase("step1_flops", "step 1 FLOPs", 31),
    _phase("step2_flops", "step 2 FLOPs", 32),
    Column("live_entry", "live before", "bytes", 28, _of("live", "entry"), by=_ROWS),
    Column("live_peak", "peak within", "bytes", 5, _of("live", "peak"), by=_ROWS),
    Column("live_kept", "kept after", "bytes", 13, _of("live", "kept"), by=_ROWS),
)

COLUMNS: Mapping[str, Column] = {column.name: column for column in _ALL}

ALIASES: Mapping[str, str] = {"macs": "madds", "gmacs": "madds", "gflops": "flops", "macs_each": "madds_each"}
"""Names that people use for columns, and the columns that they mean."""

_MODULE_TABLE = ("path", "type", "input_shape", "output_shape", "params", "memory", *COSTS, "mem_total", "flops_share")
_TABLE: Mapping[By, tuple[str, ...]] = {
    "module": _MODULE_TABLE,
    "group": _MODULE_TABLE,
    "type": ("type", "modules", "calls", "params", "memory", *COSTS, "mem_total", "flops_share"),
    "operator": ("op", "calls", *COSTS, "mem_total", "flops_share"),
}

_SUMS = ("params", "trainable_params", "buffers", *COSTS, "memory", "duration_s")
_SEEN = ("kind", "calls", "input_shape", "output_shape", "dtype", *_SUMS, "shared_with", "attrs")
_DATA: Mapping[By, tuple[str, ...]] = {
    "module": ("path", "type", *_SEEN),
    "group": ("path", "type", "modules", *_SEEN, "params_each", "madds_each", "flops_each"),
    "type": ("type", "modules", "calls", *_SUMS),
    "operator": ("op", "calls", *COSTS),
}


def table_columns(
    by: By, timed: bool, memory: bool = False, trained: bool = False, folds: bool = False
) -> tuple[str, ...]:
    """What a table for people shows unless told otherwise; durations, live memory and phases where the run has them.

    Where rows are folded, what one module costs stands beside the sum over all of them.
    """
    phases = ("forward_flops", "backward_flops", "optimizer_flops") if trained and by != "operator" else ()
    live = ("live_peak", "live_kept") if memory and by in _ROWS else ()
    durations = ("duration_s", "duration_share") if timed and by != "operator" else ()
    names = (*_TABLE[by], *phases, *live, *durations)
    if not folds:
        return names
    return tuple(
        part for name in names for part in ((name, f"{name}_each") if name in ("params", "flops") else (name,))
    )


def data_columns(by: By) -> tuple[str, ...]:
    """What a data file holds unless told otherwise: the fields of the JSON report, in its order, nothing derived.

    The duration stays, empty, when the run was not timed: the header of a file does not depend on the run.
    """
    return _DATA[by]


def available_columns(by: By) -> tuple[str, ...]:
    """The names that ``--columns`` and ``--sort`` accept for rows by module, type or operator."""
    derived = (column.name for column in _ALL if column.derive and by in column.by)
    return tuple(dict.fromkeys((*_DATA[by], *derived)))
