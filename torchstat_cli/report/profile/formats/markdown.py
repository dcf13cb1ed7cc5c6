"""The report as a Markdown table, for a pull request or a README."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from torchstat_cli.records import Profile
from torchstat_cli.report.profile.cells import Cell, build
from torchstat_cli.report.profile.summary import Note, summarize
from torchstat_cli.report.profile.view import View, select

_SIGNS = re.compile(r"([\\`*_\[\]<>|~#&])")


def render(profile: Profile, view: View | None = None) -> str:
    """``profile`` as a table with a line of totals, and its summary as a list.

    Raises:
        UsageError: the view asks for something that does not exist.
    """
    view = view or View()
    selection = select(profile, view)
    grid = build(selection, view.units)
    lines = [
        _line(column.heading for column in grid.columns),
        _line("---:" if column.is_number else "---" for column in grid.columns),
        *(_line(_escaped(row)) for row in grid.rows),
        *([_line(f"*{text}*" if text else "" for text in _escaped(grid.rest))] if grid.rest else []),
        _line(f"**{text}**" if text else "" for text in _escaped(grid.total)),
        "",
        *_list(summarize(profile, view.units, selection.runs)),
    ]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(cells: Sequence[Cell]) -> list[str]:
    return [escape(cell.text) for cell in cells]


def _list(notes: Sequence[Note]) -> Iterable[str]:
    for note in notes:
        text = f"{note.label}: {escape(note.text)}"
        yield f"- **{text}**" if note.is_warning else f"- {text}"


def escape(text: str) -> str:
    """``text`` so that Markdown shows it as it is: a module name is no markup."""
    return _SIGNS.sub(r"\\\1", text)
