"""The report as a pandas DataFrame; the only file that imports pandas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from torchstat_cli.records import Profile
from torchstat_cli.report.profile.columns import By, Column
from torchstat_cli.report.profile.formats.csv import data_cell
from torchstat_cli.report.profile.view import View, select

if TYPE_CHECKING:
    import pandas


def to_pandas(profile: Profile, by: By = "module") -> pandas.DataFrame:
    """One line per module, type or operator; the columns of the CSV, attributes as dictionaries.

    Raises:
        UsageError: ``by`` is not "module", "type" or "operator".
    """
    import pandas

    selection = select(profile, View(by=by), data=True)
    columns = {
        column.name: pandas.Series(
            [_value(column, column.value(row, selection.total)) for row in selection.rows],
            dtype="float64" if column.kind == "seconds" else None if selection.rows else "object",
        )
        for column in selection.columns
    }
    return pandas.DataFrame(columns)


def frame_of(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> pandas.DataFrame:
    """``rows`` of plain values under their headings."""
    import pandas

    return pandas.DataFrame([list(row) for row in rows], columns=list(columns))


def _value(column: Column, value: Any) -> Any:
    if column.kind == "attributes":
        return dict(value)
    return data_cell(column, value) if column.kind == "shapes" else value
