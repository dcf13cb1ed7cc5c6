"""The report as CSV: one line per row, exact numbers, no line of totals, so that a spreadsheet can sum.

Every text stays as it is, also where a spreadsheet might take it for a formula (a module may be called ``=f``): this is
data. To read it back without guesses: ``pandas.read_csv(path, dtype={"path": str}, keep_default_na=False)``.
"""

from __future__ import annotations

import csv
import json
from typing import Any

from torchstat_cli.records import Profile
from torchstat_cli.report.profile.columns import Column
from torchstat_cli.report.profile.formats.json import plain
from torchstat_cli.report.profile.view import Selection, View, select
from torchstat_cli.units import format_shape


def render(profile: Profile, view: View | None = None) -> str:
    """``profile`` as CSV with a header line; shapes as ``1x64x56x56``, several joined by ``;``, attributes as JSON.

    Raises:
        UsageError: the view asks for something that does not exist.
    """
    selection = select(profile, view or View(), data=True)
    lines = _Lines()
    writer = csv.writer(lines, lineterminator=lines.terminator)
    writer.writerow(column.name for column in selection.columns)
    writer.writerows(build(selection))
    return "".join(f"{line.removesuffix(lines.terminator)}\n" for line in lines)


class _Lines(list[str]):
    """What a CSV writer wrote, line by line."""

    # The writer quotes a carriage return within a name only if its own lines end in one.
    terminator = "\r\n"

    def write(self, line: str) -> None:
        self.append(line)


def build(selection: Selection) -> list[list[str | int]]:
    """The cells of every row: integers, and text for everything else."""
    return [
        [data_cell(column, column.value(row, selection.total)) for column in selection.columns]
        for row in selection.rows
    ]


def data_cell(column: Column, value: Any) -> str | int:
    """One value as a data file holds it; empty where there is none."""
    if value is None:
        return ""
    if column.kind == "shapes":
        return ";".join(map(format_shape, value))
    if column.kind == "attributes":
        return json.dumps(plain(value))
    return value if isinstance(value, (int, str)) else repr(float(value))
