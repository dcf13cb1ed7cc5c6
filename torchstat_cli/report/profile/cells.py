"""Values as people read them: a selection turned into a grid of text, shared by every report for people."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from torchstat_cli.foreign_text import printable
from torchstat_cli.records import ModuleRecord, Shape, Totals
from torchstat_cli.report.names import shown_path
from torchstat_cli.report.profile.amounts import Units, count_text, size_text
from torchstat_cli.report.profile.columns import By, Column
from torchstat_cli.report.profile.view import Row, Selection
from torchstat_cli.units import format_seconds, format_shape

Tone = Literal["plain", "nothing", "bound"]

_LOWER_BOUND_COLUMNS = ("madds", "flops")


@dataclass(frozen=True, slots=True)
class Cell:
    """One value as text."""

    text: str
    value: Any = None  # exact, as in data files; sorting needs it
    tone: Tone = "plain"  # "nothing" is a zero or a missing value, "bound" a lower bound


@dataclass(frozen=True, slots=True)
class Grid:
    """A table as text, before any layout."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    rest: tuple[Cell, ...] | None  # the sums of the rows not shown, when there are any
    total: tuple[Cell, ...]


def build(selection: Selection, units: Units) -> Grid:
    """The grid of ``selection``; what it shows of a summed column adds up to the totals row."""
    hidden = f"… and {selection.hidden} more {'row' if selection.hidden == 1 else 'rows'}"
    return Grid(
        columns=selection.columns,
        rows=tuple(
            row_cells(row, selection, units, bounded=selection.name(row) in selection.bounded) for row in selection.rows
        ),
        rest=_sums(hidden, selection.rest, selection, units) if selection.rest else None,
        total=_sums("total", selection.total, selection, units),
    )


def row_cells(row: Row, selection: Selection, units: Units, *, bounded: bool) -> tuple[Cell, ...]:
    """One row of the columns of ``selection``; ``bounded`` marks MAdds and FLOPs as lower bounds."""
    return tuple(_cell(column, row, selection, units, bounded=bounded) for column in selection.columns)


def _cell(column: Column, row: Row, selection: Selection, units: Units, *, bounded: bool) -> Cell:
    value = column.value(row, selection.total)
    if column.name.endswith("_each") and getattr(row, "modules", 1) == 1:
        return Cell("", value)
    if column.kind == "text":
        return Cell(_text(column.name, row, selection.by), value)
    return _number(column, value, units, bounded=bounded)


def _sums(label: str, sums: Totals, selection: Selection, units: Units) -> tuple[Cell, ...]:
    """A row of sums: its label in the first column if that holds text, nothing where a sum has no meaning."""
    cells = []
    for position, column in enumerate(selection.columns):
        if column.is_summed:
            value = column.value(sums, selection.total)
            cells.append(_number(column, value, units, bounded=sums.lower_bound))
        else:
            cells.append(Cell(label if position == 0 and column.kind == "text" else ""))
    return tuple(cells)


def _number(column: Column, value: Any, units: Units, *, bounded: bool) -> Cell:
    """One value of a column that holds no plain text."""
    if bounded and column.name in _LOWER_BOUND_COLUMNS:
        return Cell(f"≥{_format(column, value, units)}", value, "bound")
    if value is None or value == () or value == {}:
        return Cell("-", value, "nothing")
    if value == 0:
        return Cell("0", value, "nothing")
    return Cell(_format(column, value, units), value)


def _format(column: Column, value: Any, units: Units) -> str:
    match column.kind:
        case "count":
            return count_text(value, units)
        case "bytes":
            return str(value) if units == "raw" else size_text(value, units)
        case "seconds":
            return str(value) if units == "raw" else format_seconds(value)
        case "share":
            return f"{100 * value:.1f} %" if value >= 0.0005 else "<0.1 %"
        case "ratio":
            return f"{value:.2f}"
        case "shapes":
            return _shapes(value)
        case _:
            return printable(json.dumps(value, default=str))


def _shapes(shapes: tuple[Shape, ...]) -> str:
    """The first shape, and how many more there are: a table has no room for the states of an LSTM."""
    more = f" +{len(shapes) - 1}" if len(shapes) > 1 else ""
    return format_shape(shapes[0]) + more


def _text(name: str, row: Any, by: By) -> str:
    text = printable(getattr(row, name) or "")
    if by not in ("module", "group"):
        return text
    if name == "path":
        return shown_path(row.path) + (f" = {printable(row.shared_with)}" if row.shared_with is not None else "")
    if name == "type":
        return type_text(row)
    return text or "-"


def type_text(row: ModuleRecord) -> str:
    """What ``row`` is: ``126 × Linear``, ``Block (direct)``, ``ReLU ×3`` for one that is called three times."""
    several = f"{row.modules} × " if row.modules > 1 else ""
    direct = " (direct)" if row.kind == "direct" else ""
    calls = row.calls // row.modules
    return several + printable(row.type) + direct + (f" ×{calls}" if calls > 1 and row.kind != "subtree" else "")
