"""The report as one HTML file: a table that sorts and a tree that folds, without network and without libraries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from html import escape
from importlib.resources import files
from string import Template

from torchstat_cli.foreign_text import printable
from torchstat_cli.records import Profile
from torchstat_cli.report.names import last_name
from torchstat_cli.report.profile.cells import Cell, build, row_cells
from torchstat_cli.report.profile.columns import Column
from torchstat_cli.report.profile.summary import Note, summarize
from torchstat_cli.report.profile.timeline import timeline
from torchstat_cli.report.profile.tree import branches
from torchstat_cli.report.profile.view import Selection, View, folded_for, select

_OPEN_WHOLE = 60
_OPEN_DEPTH = 2


@dataclass(frozen=True, slots=True)
class HtmlRow:
    """One line of the table."""

    cells: tuple[Cell, ...]
    depth: int = 0  # in the tree; 0 everywhere in a flat table
    is_container: bool = False
    role: str = ""  # "rest" for the sums of the rows left out
    title: str = ""  # the full path, where the line shows only its end


def render(profile: Profile, view: View | None = None) -> str:
    """A whole page for ``profile``; a tree of modules unless the view sorts, filters or groups the rows.

    Raises:
        UsageError: the view asks for something that does not exist.
    """
    view = view or View()
    name = profile.provenance.spec or profile.provenance.class_name
    return Template(_resource("report.html")).substitute(
        title=escape(printable(name)),
        style=_resource("report.css"),
        script=_resource("report.js"),
        summary=_summary(summarize(profile, view.units, select(profile, view).runs))
        + (timeline(profile.memory) if profile.memory else ""),
        table=_table(profile, view),
    )


def fragment(profile: Profile) -> str:
    """The same table and summary for a notebook: no script, so no buttons, and everything unfolded."""
    style, summary = _resource("report.css"), _summary(summarize(profile, "auto", select(profile, View()).runs))
    return f'<div class="modelstat"><style>{style}</style>{_table(profile, View(), scripted=False)}{summary}</div>'


@cache
def _resource(name: str) -> str:
    return files("torchstat_cli.report.profile.formats").joinpath("templates", name).read_text(encoding="utf-8")


def _summary(notes: Iterable[Note]) -> str:
    items = (
        f"<dt{_class('warning' if note.is_warning else '')}>{escape(note.label)}</dt><dd>{escape(note.text)}</dd>"
        for note in notes
    )
    return f"<dl>{''.join(items)}</dl>"


def _table(profile: Profile, view: View, *, scripted: bool = True) -> str:
    """The table; only a ``scripted`` page has buttons, and its script is what brings them to life."""
    selection = select(profile, view)
    if _is_tree(view, selection):
        rows = _tree_rows(profile, view, selection)
        grid = build(replace(selection, rows=()), view.units)  # only its totals are still needed
    else:
        grid = build(selection, view.units)
        rows = [HtmlRow(cells) for cells in grid.rows]
    if grid.rest:
        rows.append(HtmlRow(grid.rest, role="rest"))
    unfolded = view.depth if view.depth is not None else _OPEN_DEPTH if len(rows) > _OPEN_WHOLE else len(rows)
    head = "".join(_heading(column, scripted=scripted) for column in grid.columns)
    body = "\n".join(_row(row, grid.columns, scripted=scripted) for row in rows)
    foot = "".join(_cell(cell, column) for cell, column in zip(grid.total, grid.columns, strict=True))
    return (
        f'<table data-open="{unfolded}"><thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n<tfoot><tr>{foot}</tr></tfoot></table>"
    )


def _is_tree(view: View, selection: Selection) -> bool:
    """A tree needs all modules in their own order, and their names to hang them on."""
    return selection.columns[0].name == "path" and (view.sort, view.top, view.filter) == (None, None, None)


def _tree_rows(profile: Profile, view: View, selection: Selection) -> list[HtmlRow]:
    """The whole tree, whatever the depth: a page can unfold what a terminal must leave out."""
    rows = []
    for branch in branches(folded_for(profile, view).profile):
        name, *others = row_cells(branch.row, selection, view.units, bounded=branch.is_bounded)
        text = "(direct)" if branch.row.kind == "direct" else last_name(name.text)
        cells = (Cell(text, name.value), *others)
        rows.append(HtmlRow(cells, branch.depth, branch.is_container, title=branch.row.path))
    return rows


def _heading(column: Column, *, scripted: bool) -> str:
    text = f"<button disabled>{escape(column.heading)}</button>" if scripted else escape(column.heading)
    return f'<th scope="col"{_class("number" if column.is_number else "")}>{text}</th>'


def _row(row: HtmlRow, columns: Sequence[Column], *, scripted: bool) -> str:
    first, *others = (_cell(cell, column) for cell, column in zip(row.cells, columns, strict=True))
    if columns[0].kind == "text":
        label = escape(row.cells[0].text)
        button = f'<button class="fold" hidden aria-expanded="true" aria-label="fold {label}"></button>'
        fold = button if row.is_container and scripted else ""
        title = f' title="{escape(printable(row.title))}"' if row.title else ""
        first = f'<th scope="row" style="--depth:{row.depth}"{title}>{fold}{label}</th>'
    return f'<tr data-depth="{row.depth}"{_class(row.role)}>{first}{"".join(others)}</tr>'


def _cell(cell: Cell, column: Column) -> str:
    names = [name for name, given in (("number", column.is_number), (cell.tone, cell.tone != "plain")) if given]
    value = f' data-value="{cell.value}"' if column.is_number and cell.value is not None else ""
    share = f' style="--share:{100 * cell.value:.1f}%"' if column.kind == "share" and cell.value else ""
    return f"<td{_class(*names)}{value}{share}>{escape(cell.text)}</td>"


def _class(*names: str) -> str:
    given = " ".join(name for name in names if name)
    return f' class="{given}"' if given else ""
