"""The report as one HTML file: charts, a tree that folds and a table that sorts, without network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torchstat_cli.foreign_text import printable
from torchstat_cli.records import MemoryProfile, Profile
from torchstat_cli.report.names import last_name
from torchstat_cli.report.profile.cells import Cell, Grid, build, row_cells
from torchstat_cli.report.profile.charts import LEAVES, METRICS, memory_picture, trace
from torchstat_cli.report.profile.summary import memory_notes, peak_place, summarize
from torchstat_cli.report.profile.timeline import timeline
from torchstat_cli.report.profile.tree import branches
from torchstat_cli.report.profile.view import Selection, View, folded_for, select
from torchstat_cli.report.web.pages import page
from torchstat_cli.report.web.plotly import is_installed, packed_script
from torchstat_cli.units import format_bytes

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
    is_open: bool = True  # whether the rows below are shown at first
    is_hidden: bool = False  # whether a row above keeps this one closed


def render(profile: Profile, view: View | None = None) -> str:
    """A whole page for ``profile``; a tree of modules unless the view sorts, filters or groups the rows.

    Raises:
        UsageError: the view asks for something that does not exist.
    """
    view = view or View()
    charted = is_installed()
    name = profile.provenance.spec or profile.provenance.class_name
    return page(
        "report.html",
        title=printable(name),
        charts=_charts(profile) if charted else None,
        library=packed_script() if charted else "",
        metrics=list(METRICS.items()),
        metric="flops" if profile.total.flops else "params",
        memory=_memory(profile, drawn=not charted),
        **_table(profile, view),
    )


def fragment(profile: Profile) -> str:
    """The same table and summary for a notebook: no script, so no buttons; what lies deep unfolds by itself.

    The outer levels stand first; the whole table follows in an element that opens without a script.
    """
    parts = _table(profile, View())
    outer = [row for row in parts["rows"] if row.depth <= _OPEN_DEPTH]
    whole = len(parts["rows"]) > max(len(outer), _OPEN_WHOLE)
    if not whole:
        outer = parts["rows"]
    return page("fragment.html", outer=outer, whole=whole, memory=_memory(profile, drawn=True), **parts)


def memory_fragment(memory: MemoryProfile) -> str:
    """Live memory alone, for a notebook."""
    return page("memory.html", svg=timeline(memory), notes=memory_notes(memory, "auto"))


def _charts(profile: Profile) -> dict[str, Any]:
    return {
        "tree": {metric: trace(profile, metric) for metric in METRICS},
        "leaves": LEAVES,
        "memory": memory_picture(profile.memory) if profile.memory else None,
    }


def _memory(profile: Profile, *, drawn: bool) -> dict[str, Any] | None:
    """What a page says of live memory, with a picture that needs no library if it is ``drawn`` here."""
    memory = profile.memory
    if memory is None:
        return None
    label = f"live tensor memory, peak {format_bytes(memory.peak.total)} {peak_place(memory)}"
    return {"label": label, "svg": timeline(memory) if drawn else ""}


def _table(profile: Profile, view: View) -> dict[str, Any]:
    """The parts of the table and of the summary that the templates show."""
    selection = select(profile, view)
    rows, grid = _rows(profile, view, selection)
    opened = view.depth if view.depth is not None else _OPEN_DEPTH if len(rows) > _OPEN_WHOLE else len(rows)
    return {
        "rows": [replace(row, is_open=row.depth < opened, is_hidden=row.depth > opened) for row in rows],
        "columns": grid.columns,
        "total": grid.total,
        "opened": opened,
        "notes": summarize(profile, view.units, selection.runs),
    }


def _rows(profile: Profile, view: View, selection: Selection) -> tuple[list[HtmlRow], Grid]:
    if _is_tree(view, selection):
        rows = _tree_rows(profile, view, selection)
        return rows, build(replace(selection, rows=(), rest=None), view.units)  # only its totals are still needed
    grid = build(selection, view.units)
    rows = [HtmlRow(cells) for cells in grid.rows]
    return rows + ([HtmlRow(grid.rest, role="rest")] if grid.rest else []), grid


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
        rows.append(HtmlRow(cells, branch.depth, branch.is_container, title=printable(branch.row.path)))
    return rows
