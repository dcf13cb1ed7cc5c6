"""The table for terminals: a grid laid out in lines, as wide as the terminal allows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain

from torchstat_cli.records import Profile
from torchstat_cli.report.layout import GAP, Fit, align_units, column_widths, fit
from torchstat_cli.report.profile.cells import Cell, Grid, build
from torchstat_cli.report.profile.summary import Note, summarize
from torchstat_cli.report.profile.tree_grid import tree_grid
from torchstat_cli.report.profile.view import Selection, View, select
from torchstat_cli.report.terminal import Terminal, styled, to_ascii
from torchstat_cli.report.width import cell_width, pad, shorten, wrap

Span = tuple[str, str]  # text, and the style that rich gives it on a terminal with colours
Line = list[Span]

_TONES = {"plain": "", "nothing": "dim", "bound": "yellow"}
_NO_BREAK = "\N{NO-BREAK SPACE}"


def render(profile: Profile, view: View | None = None, terminal: Terminal | None = None) -> str:
    """The table of ``profile`` and its summary as text, ending in a line break.

    Raises:
        UsageError: the view asks for something that does not exist.
    """
    view, terminal = view or View(), terminal or Terminal()
    selection, grid = tree_grid(profile, view) if view.tree else _flat(profile, view)
    grid = _for_ascii(grid) if terminal.ascii else grid
    texts = _aligned(grid)
    widths = column_widths(list(zip(*texts, strict=True)))
    ranks = [column.rank for column in grid.columns]
    layout = fit(widths, ranks, terminal.width, named=grid.columns[0].kind == "text")
    dropped = [
        column.heading for position, column in enumerate(grid.columns) if position not in layout.kept and column.heading
    ]
    notes = list(summarize(profile, view.units, selection.runs))
    if dropped:
        notes.append(Note("no room for", tuple(dropped)))
    if terminal.ascii:
        notes = [replace(note, phrases=tuple(map(to_ascii, note.phrases))) for note in notes]
    lines = chain(_table(grid, texts, widths, layout, terminal), [[]], _notes(notes, terminal))
    return "".join(f"{_text(line, terminal)}\n" for line in lines)


def _flat(profile: Profile, view: View) -> tuple[Selection, Grid]:
    selection = select(profile, view)
    return selection, build(selection, view.units)


def _for_ascii(grid: Grid) -> Grid:
    def plain(cells: Iterable[Cell]) -> tuple[Cell, ...]:
        return tuple(Cell(to_ascii(cell.text), cell.value, cell.tone) for cell in cells)

    rest = grid.rest and plain(grid.rest)
    return Grid(grid.columns, tuple(map(plain, grid.rows)), rest, plain(grid.total))


def _body(grid: Grid) -> list[tuple[Cell, ...]]:
    """Every row of cells below the heading, the totals last."""
    return [*grid.rows, *([grid.rest] if grid.rest else []), grid.total]


def _aligned(grid: Grid) -> list[list[str]]:
    """The texts of each column from its heading to its total; numbers padded so that they can be set flush right."""
    columns = []
    for column, cells in zip(grid.columns, zip(*_body(grid), strict=True), strict=True):
        texts = [cell.text for cell in cells]
        columns.append([column.heading, *(align_units(texts) if column.is_number else texts)])
    return columns


def _table(
    grid: Grid, texts: Sequence[Sequence[str]], widths: Sequence[int], layout: Fit, terminal: Terminal
) -> Iterable[Line]:
    """The lines of the table: heading, rows, what is left out, totals."""
    shown = [layout.first if position == 0 else widths[position] for position in layout.kept]
    rule: Line = [("─" * (sum(shown) + GAP * (len(shown) - 1)), "dim")]

    def line(index: int, styles: Sequence[str]) -> Line:
        spans: Line = []
        for position, width in zip(layout.kept, shown, strict=True):
            spans.extend(_name_or_cell(grid, texts[position][index], position, width, styles[position], terminal))
            spans.append((" " * GAP, ""))
        return spans[:-1]

    everywhere = len(grid.columns)
    yield line(0, ["bold"] * everywhere)
    yield rule
    for index, cells in enumerate(grid.rows, start=1):
        yield line(index, [_TONES[cell.tone] for cell in cells])
    if grid.rest:
        yield line(len(grid.rows) + 1, ["dim italic"] * everywhere)
    yield rule
    yield line(-1, ["bold"] * everywhere)


def _name_or_cell(grid: Grid, text: str, position: int, width: int, style: str, terminal: Terminal) -> Iterable[Span]:
    """One cell, padded to ``width``; of a dotted name the part that its neighbours share is dimmed."""
    if grid.columns[position].is_number:
        yield pad(text, width, "right"), style
        return
    if position == 0:
        text = shorten(text, width, "..." if terminal.ascii else "…")
    text = pad(text, width)
    if position == 0 and grid.columns[0].name == "path" and not style:
        name, mark, shared = text.partition(" = ")
        start = name.rfind(".") + 1
        yield name[:start], "dim"
        yield name[start:], ""
        yield mark + shared, "dim"
    else:
        yield text, style


def _notes(notes: Sequence[Note], terminal: Terminal) -> Iterable[Line]:
    """The summary in two columns; what is too long for the terminal continues below itself."""
    indent = max(len(note.label) for note in notes) + GAP
    for note in notes:
        label = pad(note.label, indent)
        for text in _wrapped(note, terminal.width and max(terminal.width - indent, 16)):
            yield [(label, "bold yellow" if note.is_warning else "dim"), (text, "yellow" if note.is_warning else "")]
            label = " " * indent


def _wrapped(note: Note, width: int | None) -> list[str]:
    if width is None or cell_width(note.text) <= width:
        return [note.text]
    whole = ", ".join(
        phrase.replace(" ", _NO_BREAK) if cell_width(phrase) < width else phrase for phrase in note.phrases
    )
    return [line.replace(_NO_BREAK, " ") for line in wrap(whole, width)]


def _text(line: Line, terminal: Terminal) -> str:
    """``line`` as text, without blanks at its end."""
    if terminal.ascii:
        line = [(to_ascii(text), style) for text, style in line]
    if terminal.color:
        return "".join(styled(text, style) for text, style in line)
    return "".join(text for text, _ in line).rstrip()
