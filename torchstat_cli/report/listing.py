"""A plain list of texts under headings, for commands that list something: as a table, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from torchstat_cli.foreign_text import printable
from torchstat_cli.report.layout import column_widths, narrowed
from torchstat_cli.report.terminal import Terminal, styled, to_ascii
from torchstat_cli.report.width import pad, wrap


@dataclass(frozen=True, slots=True)
class _Frame:
    """What is drawn around the cells: at the left, between two, at the right."""

    row: tuple[str, str, str]
    rule: tuple[str, str, str]
    line: str  # a rule is drawn with it
    closed: bool  # a rule above and below as well, else an empty line


_OPEN = _Frame((" ", "   ", " "), (" ", "───", " "), "─", closed=False)
_BOXED = _Frame(("|", " | ", "|"), ("+", "-+-", "+"), "-", closed=True)


def render_listing(headings: Sequence[str], rows: Sequence[Sequence[str]], form: str, terminal: Terminal) -> str:
    """``rows`` in the format ``form``: "table", "csv" or "json"."""
    if form == "json":
        return json.dumps([dict(zip(headings, row, strict=True)) for row in rows], indent=2, ensure_ascii=False) + "\n"
    if form == "csv":
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows([headings, *rows])
        return stream.getvalue()
    return "".join(f"{line.rstrip(' ')}\n" for line in _table(headings, rows, terminal))


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], terminal: Terminal) -> Iterator[str]:
    """The lines of the table; a text that is wider than its column continues below itself."""
    texts = [[_shown(text, terminal) for text in row] for row in (headings, *rows)]
    frame = _BOXED if terminal.ascii else _OPEN
    widths = _fitting(column_widths(texts), terminal.width)
    rule = _drawn([frame.line * width for width in widths], frame.rule)
    edge = rule if frame.closed else ""
    heading, *body = texts
    yield edge
    for line in reversed(list(_lines(heading, widths, frame, upward=True))):
        yield styled(line.rstrip(" "), "bold") if terminal.color else line
    yield rule
    for row in body:
        yield from _lines(row, widths, frame)
    yield edge


def _shown(text: str, terminal: Terminal) -> str:
    return to_ascii(printable(text)) if terminal.ascii else printable(text)


def _fitting(widths: list[int], limit: int | None) -> list[int]:
    """``widths``, made narrower where the table would not fit ``limit`` cells."""
    if limit is None:
        return widths
    last = len(widths) - 1
    around = [(position > 0) + (position < last) for position in range(len(widths))]  # blanks beside the texts
    room = limit - len(widths) - 1  # for what separates the columns
    wished = [width + blanks for width, blanks in zip(widths, around, strict=True)]
    return [max(1, width - blanks) for width, blanks in zip(narrowed(wished, room), around, strict=True)]


def _lines(row: Sequence[str], widths: Sequence[int], frame: _Frame, *, upward: bool = False) -> Iterator[str]:
    """The lines of a row from its top; ``upward`` from its bottom, so that texts of fewer lines end there."""
    pieces = [wrap(text, width, fold=True) for text, width in zip(row, widths, strict=True)]
    for line in zip_longest(*(piece[::-1] for piece in pieces) if upward else pieces, fillvalue=""):
        yield _drawn([pad(text, width) for text, width in zip(line, widths, strict=True)], frame.row)


def _drawn(cells: Sequence[str], around: tuple[str, str, str]) -> str:
    left, between, right = around
    return f"{left}{between.join(cells)}{right}"
