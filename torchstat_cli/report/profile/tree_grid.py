"""The tree of modules as a grid of text: lines that lead to every module, and a bar for its share of the FLOPs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torchstat_cli.records import Profile
from torchstat_cli.report.names import last_name
from torchstat_cli.report.profile.cells import Cell, Grid, build, row_cells
from torchstat_cli.report.profile.columns import Column
from torchstat_cli.report.profile.tree import Branch, branches
from torchstat_cli.report.profile.view import Selection, View, folded_for, select

COLUMNS = ("path", "type", "output_shape", "params", "madds", "flops", "flops_share")
"""What the tree shows unless told otherwise."""

_BAR = Column("bar", "", "text", 8)
_CELLS = 20
"""Cells of a bar that is the whole model."""


def tree_grid(profile: Profile, view: View) -> tuple[Selection, Grid]:
    """What is selected, and the lines of the tree from the root down to the depth of ``view``.

    A container stands before what it holds and carries the sums of it, so that each level adds up to the totals.
    """
    selection = select(profile, replace(view, columns=view.columns or COLUMNS))
    lines = branches(folded_for(profile, view).profile)
    if view.depth is not None:
        lines = tuple(line for line in lines if line.depth <= view.depth)
    grid = build(replace(selection, rows=(), rest=None, hidden=0), view.units)
    rows = tuple(_cells(line, lead, selection, view, profile) for line, lead in zip(lines, _leads(lines), strict=True))
    return selection, Grid((*grid.columns, _BAR), rows, None, (*grid.total, Cell("")))


def _cells(line: Branch, lead: str, selection: Selection, view: View, profile: Profile) -> tuple[Cell, ...]:
    name, *others = row_cells(line.row, selection, view.units, bounded=line.is_bounded)
    text = "(direct)" if line.row.kind == "direct" and line.depth else last_name(name.text)
    filled = round(_CELLS * line.row.flops / profile.total.flops) if profile.total.flops else 0
    return (Cell(lead + text, name.value), *others, Cell("█" * filled))


def _leads(lines: Sequence[Branch]) -> list[str]:
    """What is drawn before the name of each line: where its siblings and those of its ancestors go on below."""
    leads: list[str] = []
    going_on: set[int] = set()  # depths at which a line follows below, within the same ancestor
    for line in reversed(lines):
        depth = line.depth
        above = "".join("│  " if level in going_on else "   " for level in range(1, depth))
        leads.append(above + ("├─ " if depth in going_on else "└─ ") if depth else "")
        going_on = {level for level in going_on if level < depth} | {depth}
    return leads[::-1]
