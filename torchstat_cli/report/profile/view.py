"""Which rows and columns of a profile to show: a view, checked and applied."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TypeAlias, get_args

from torchstat_cli.errors import UsageError
from torchstat_cli.records import ModuleRecord, OperatorTotal, Profile, Totals
from torchstat_cli.report.profile.amounts import Units
from torchstat_cli.report.profile.columns import (
    ALIASES,
    COLUMNS,
    By,
    Column,
    available_columns,
    data_columns,
    table_columns,
)
from torchstat_cli.report.profile.folding import Folded, Run, fold
from torchstat_cli.report.profile.row_sums import TypeTotal, by_type, sum_rows

Row: TypeAlias = ModuleRecord | TypeTotal | OperatorTotal

TREES = ("table", "html", "svg")
"""Formats that can draw the tree of modules."""

_KEYS: Mapping[By, str] = {"module": "path", "type": "type", "operator": "op", "group": "path"}


@dataclass(frozen=True, slots=True)
class View:
    """What a user asked to see of a profile."""

    by: By = "module"
    depth: int | None = None  # fold modules deeper than this into their ancestor
    columns: tuple[str, ...] | None = None  # None: what the format shows by itself
    sort: str | None = None  # a column; numbers descend, text ascends unless a - precedes; None: order of execution
    top: int | None = None  # show this many rows
    filter: str | None = None  # glob on the path, the type or the operator, whichever names the rows
    units: Units = "auto"  # 11.69 M, 48.75 MiB; "raw" integers; or everything in k, M, G or T
    unfold: bool = False  # show equal neighbors one by one; sorting and filtering do so anyway
    tree: bool = False  # in the terminal: a tree with bars for the shares

    def __post_init__(self) -> None:
        if self.columns is not None:
            object.__setattr__(self, "columns", tuple(ALIASES.get(name, name) for name in self.columns))
        if self.sort is not None:
            name = self.sort.removeprefix("-")
            sign = self.sort[: len(self.sort) - len(name)]
            object.__setattr__(self, "sort", sign + ALIASES.get(name, name))

    @property
    def sort_column(self) -> str | None:
        """The column to sort by, without its sign."""
        return None if self.sort is None else self.sort.removeprefix("-")

    @property
    def folds(self) -> bool:
        """Whether equal neighbors are shown once in a table."""
        ordered = self.sort is None and self.filter is None and not self.unfold
        return self.by == "group" or (self.by == "module" and ordered)


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows and columns that a view shows, and the sums of the rows that it leaves out."""

    by: By
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    rest: Totals | None  # sums of the rows left out, so that what is shown still adds up
    hidden: int  # rows left out
    total: Totals
    bounded: frozenset[str]  # names of rows whose MAdds and FLOPs are lower bounds
    runs: tuple[Run, ...] = ()  # equal neighbors that its rows show as one

    def name(self, row: Row) -> str:
        """What identifies ``row``: its path, type or operator."""
        return row_name(row, self.by)


def row_name(row: Row, by: By) -> str:
    """What identifies ``row`` among its like: the path, the type or the operator."""
    name: str = getattr(row, _KEYS[by])
    return name


def select(profile: Profile, view: View, *, data: bool = False) -> Selection:
    """Apply ``view`` to ``profile``; where it names no columns, those of a data file or of a table for people.

    Raises:
        UsageError: the view names an unknown column, way of grouping, sort column, or no row at all.
    """
    check(view)
    folded = folded_for(profile, view, data=data)
    rows, bounded = _rows(folded.profile, view)
    shown = _filtered(rows, view)
    if view.sort_column is not None:
        descends = COLUMNS[view.sort_column].is_number or view.sort != view.sort_column
        shown = _sorted(shown, COLUMNS[view.sort_column], profile.total, descends=descends)
    shown = shown[: view.top]
    kept = set(map(id, shown))
    left_out = [row for row in rows if id(row) not in kept]
    lower_bound = any(row_name(row, view.by) in bounded for row in left_out)
    timed, memory = profile.total.duration_s is not None, profile.memory is not None
    runs = _runs_among(rows, folded.runs)
    shown_by_default = table_columns(view.by, timed, memory, profile.training is not None, bool(runs))
    names = view.columns or (data_columns(view.by) if data else shown_by_default)
    return Selection(
        by=view.by,
        columns=tuple(COLUMNS[name] for name in names),
        rows=shown,
        rest=sum_rows(left_out, lower_bound=lower_bound) if left_out else None,
        hidden=len(left_out),
        total=profile.total,
        bounded=bounded,
        runs=runs,
    )


def folded_for(profile: Profile, view: View, *, data: bool = False) -> Folded:
    """``profile`` as ``view`` shows it, with equal neighbors folded or not; data files fold only when asked to."""
    return fold(profile) if view.folds and not (data and view.by == "module") else Folded(profile, ())


def _runs_among(rows: tuple[Row, ...], runs: tuple[Run, ...]) -> tuple[Run, ...]:
    """Those of ``runs`` that ``rows`` show; the others lie too deep."""
    paths = [row.path for row in rows if isinstance(row, ModuleRecord)]
    return tuple(run for run in runs if any(path == run.path or path.startswith(f"{run.path}.") for path in paths))


def check(view: View, format: str = "table") -> None:
    """Say what is wrong with ``view`` in a format before any work is done.

    Raises:
        UsageError: a name that does not exist, a number out of range, or two wishes that exclude each other.
    """
    if view.by not in _KEYS:
        raise _unknown("way of grouping", view.by, tuple(_KEYS))
    if view.units not in get_args(Units):
        raise _unknown("unit style", view.units, get_args(Units))
    names = available_columns(view.by)
    for name in (*(view.columns or ()), *((view.sort_column,) if view.sort_column is not None else ())):
        if name not in names:
            raise _unknown(f"column by {view.by}", name, names)
    if view.columns is not None and len(set(view.columns)) != len(view.columns):
        twice = next(name for name in view.columns if view.columns.count(name) > 1)
        raise UsageError(f"the column {twice!r} is named twice", "name each column once")
    if view.columns == ():
        raise UsageError("the list of columns is empty", f"choose from {', '.join(names)}")
    if view.depth is not None and view.depth < 0:
        raise UsageError(f"the depth {view.depth} is negative", "depth 0 is the whole model, 1 its children")
    if view.depth is not None and view.by == "operator":
        raise UsageError("operators have no depth", "leave the depth out, or show rows by module or type")
    if view.top is not None and view.top < 1:
        raise UsageError(f"the top {view.top} rows are none", "ask for at least one row")
    if view.unfold and view.by == "group":
        raise UsageError("rows by group are folded rows, which cannot be unfolded", "leave one of the two out")
    if view.tree:
        _check_tree(view, format)


def _check_tree(view: View, format: str) -> None:
    """A tree shows every module in its place."""
    if format not in TREES:
        raise UsageError(f"{format} cannot draw a tree", f"leave the tree out, or choose from {', '.join(TREES)}")
    if view.columns is not None and view.columns[0] != "path":
        raise UsageError("a tree hangs on the names of modules", "name path first among the columns, or no columns")
    wishes = {"by": view.by in ("module", "group"), "sort": view.sort is None, "filter": view.filter is None}
    for name, possible in {**wishes, "top": view.top is None}.items():
        if not possible:
            raise UsageError(f"a tree shows every module in its place; it cannot take {name}", "leave one of them out")


def _unknown(what: str, name: str, names: Collection[str]) -> UsageError:
    close = get_close_matches(name.lower(), names, n=3, cutoff=0.5)
    guess = f"did you mean {' or '.join(close)}? " if close else ""
    return UsageError(f"there is no {what} named {name!r}", f"{guess}choose from {', '.join(names)}")


def _rows(profile: Profile, view: View) -> tuple[tuple[Row, ...], frozenset[str]]:
    """All rows of the view before any is left out, and the names of those with an unknown operator."""
    if view.by == "operator":
        return profile.operators, frozenset(unknown.op for unknown in profile.unknown)
    modules = profile.rows if view.depth is None else profile.folded(view.depth).rows
    paths = {path for unknown in profile.unknown for path in unknown.paths}
    bounded = [row for row in modules if _runs_one_of(row, paths)]
    if view.by == "type":
        return by_type(modules), frozenset(row.type for row in bounded)
    return modules, frozenset(row.path for row in bounded)


def _runs_one_of(row: ModuleRecord, paths: set[str]) -> bool:
    if row.path in paths:
        return True
    prefix = f"{row.path}." if row.path else ""
    return row.kind == "subtree" and any(path.startswith(prefix) for path in paths)


def _filtered(rows: tuple[Row, ...], view: View) -> tuple[Row, ...]:
    if view.filter is None:
        return rows
    kept = tuple(row for row in rows if fnmatchcase(row_name(row, view.by), view.filter))
    if not kept:
        names = [row_name(row, view.by) for row in rows]
        close = get_close_matches(view.filter.replace("*", ""), names, n=3, cutoff=0.4) or names[:3]
        hint = f"* stands for any text; names here are for example {', '.join(map(repr, close))}"
        raise UsageError(f"no {view.by} matches the filter {view.filter!r}", hint)
    return kept


def _sorted(rows: tuple[Row, ...], column: Column, total: Totals, *, descends: bool) -> tuple[Row, ...]:
    """``rows`` by ``column``, ties in their old order, rows without a value last."""
    present = [row for row in rows if column.value(row, total) is not None]
    absent = [row for row in rows if column.value(row, total) is None]
    if column.kind == "attributes":
        present.sort(key=lambda row: str(column.value(row, total)), reverse=descends)
    else:
        present.sort(key=lambda row: column.value(row, total), reverse=descends)
    return (*present, *absent)
