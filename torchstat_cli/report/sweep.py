"""The rows of a sweep as a table, CSV, JSON or Markdown."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from torchstat_cli.errors import UsageError
from torchstat_cli.records import SCHEMA, SWEEP_NUMBERS, SweepResult, SweepRow
from torchstat_cli.report.cleaning import cleaned
from torchstat_cli.report.layout import Column, align_units, table_lines
from torchstat_cli.report.profile.formats.markdown import escape
from torchstat_cli.report.writing import Convertible
from torchstat_cli.units import format_bytes, format_count

if TYPE_CHECKING:
    import pandas

SWEEP_FORMATS = ("table", "csv", "json", "markdown")

_FOR_PEOPLE = ("params", "madds", "flops", "memory", "peak")
_BYTES = frozenset(("param_bytes", "memory", "mem_read", "mem_write", "peak"))
_HEADINGS = {"madds": "MAdds", "flops": "FLOPs"}
_LONGEST_ERROR = 100  # characters in a table for people


def render(result: SweepResult, form: str = "table", sort: str | None = None) -> str:
    """``result`` in one of :data:`SWEEP_FORMATS`.

    Args:
        result: of a sweep.
        form: the format.
        sort: a column to sort by; numbers descend, with "-" before the name they ascend, rows without one come last.

    Raises:
        UsageError: no such column.
    """
    return _RENDERERS[form](result if sort is None else _sorted(result, sort))


class Sweep(SweepResult, Convertible):
    """The rows of a sweep, which can show, convert and save themselves."""

    @classmethod
    def of(cls, result: SweepResult) -> Sweep:
        """The same rows."""
        return cls(result.rows, result.varied, result.settings)

    def to_pandas(self) -> pandas.DataFrame:
        """A DataFrame with one line per model and variant, and exact numbers."""
        from torchstat_cli.report.profile.formats.frame import frame_of

        return frame_of(columns(self.varied), (cells(row, self) for row in self.rows))

    def _text(self, form: str) -> str:
        return render(self, form)

    def __str__(self) -> str:
        return render(self).rstrip("\n")


def columns(varied: Iterable[str]) -> tuple[str, ...]:
    """The names of all columns, in order; what varies is a column too."""
    return ("model", *varied, "class", "input", *SWEEP_NUMBERS, "lower_bound", "placement", "status", "error")


def check_sort(sort: str | None, varied: Iterable[str]) -> None:
    """Say before any work is done that there is no such column.

    Raises:
        UsageError: there is none.
    """
    names = columns(varied)
    if sort is not None and sort.removeprefix("-") not in names:
        raise UsageError(f"there is no column {sort.removeprefix('-')!r}", f"there are {', '.join(names)}")


def cells(row: SweepRow, result: SweepResult) -> tuple[Any, ...]:
    """The values of a row, in the order of :func:`columns`."""
    numbers = (row.numbers.get(name) for name in SWEEP_NUMBERS)
    variant = (row.variant[name] for name in result.varied)
    return (
        *(row.model, *variant, row.kind, row.input, *numbers),
        *(row.lower_bound, row.placement, row.status, row.error),
    )


def _sorted(result: SweepResult, sort: str) -> SweepResult:
    check_sort(sort, result.varied)
    ascending, name = sort.startswith("-"), sort.removeprefix("-")
    place = columns(result.varied).index(name)
    with_value = [row for row in result.rows if cells(row, result)[place] is not None]
    without = [row for row in result.rows if cells(row, result)[place] is None]
    is_number = name in SWEEP_NUMBERS
    ordered = sorted(with_value, key=lambda row: cells(row, result)[place], reverse=is_number and not ascending)
    return SweepResult((*ordered, *without), result.varied, result.settings)


def _csv(result: SweepResult) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns(result.varied))
    for row in result.rows:
        writer.writerow(["" if cell is None else cell for cell in cells(row, result)])
    return text.getvalue()


def _json(result: SweepResult) -> str:
    names = columns(result.varied)
    document = {
        "schema": SCHEMA,
        "tool": "modelstat sweep",
        "settings": dict(result.settings),
        "vary": list(result.varied),
        "models": [dict(zip(names, cells(row, result), strict=True)) for row in result.rows],
    }
    return json.dumps(document, indent=2) + "\n"


def _table(result: SweepResult) -> str:
    header, rows = _for_people(cleaned(result))
    numbers = range(1 + len(result.varied), len(header) - 1)
    for place in numbers:
        texts = align_units([row[place] for row in rows])
        for row, text in zip(rows, texts, strict=True):
            row[place] = text
    sides = [Column(gap=0), *[Column("right")] * (len(header) - 2), Column()]
    return "\n".join([*table_lines([header, *rows], sides), "", *_summary(result), ""])


def _markdown(result: SweepResult) -> str:
    header, rows = _for_people(cleaned(result))
    rule = ["---", *["---:"] * (len(header) - 2), "---"]
    lines = [f"| {' | '.join(line)} |" for line in (header, rule, *([escape(cell) for cell in row] for row in rows))]
    return "\n".join([*lines, "", *(f"- {line}" for line in _summary(result)), ""])


def _for_people(result: SweepResult) -> tuple[list[str], list[list[str]]]:
    """Heading and rows: the usual numbers, where any model has them, and what went wrong."""
    shown = [name for name in _FOR_PEOPLE if any(row.numbers.get(name) is not None for row in result.rows)]
    header = ["model", *result.varied, *(_HEADINGS.get(name, name) for name in shown), ""]
    return header, [_line(row, result.varied, shown) for row in result.rows]


def _line(row: SweepRow, varied: Sequence[str], shown: Sequence[str]) -> list[str]:
    bound = "≥" if row.lower_bound else ""
    texts = [_text(name, row.numbers.get(name), bound) for name in shown]
    return [row.model, *(row.variant[name] for name in varied), *texts, _ending(row)]


def _text(name: str, number: float | None, bound: str) -> str:
    if number is None:
        return ""
    write: Callable[[int], str] = format_bytes if name in _BYTES else format_count
    return f"{bound if name in ('madds', 'flops') else ''}{write(int(number))}"


def _ending(row: SweepRow) -> str:
    if row.status == "ok":
        return "" if row.placement in ("meta", "meta+values") else f"on {row.placement}"
    error = row.error or ""
    cut = error if len(error) <= _LONGEST_ERROR else f"{error[:_LONGEST_ERROR]} …"
    return f"{row.status}: {cut}"


def _summary(result: SweepResult) -> list[str]:
    rows = f"{len(result.rows)} row{'' if len(result.rows) == 1 else 's'}"
    lines = [f"{rows}, {result.failed} without numbers" if result.failed else rows]
    if any(row.lower_bound for row in result.rows):
        lines.append("≥ marks lower bounds: an operator of the model has no formula")
    return lines


_RENDERERS: dict[str, Callable[[SweepResult], str]] = {
    "table": _table,
    "csv": _csv,
    "json": _json,
    "markdown": _markdown,
}
