"""Lay out a table of texts: align its columns, drop or narrow those that a terminal has no room for, cut no number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torchstat_cli.foreign_text import printable
from torchstat_cli.report.width import Side, cell_width, pad

GAP = 2
"""Blank cells between two columns."""

_SHORTEST_NAME = {4: 24, 3: 12}
"""By columns left: shorten names down to these cells before the next number is lost."""


@dataclass(frozen=True, slots=True)
class Column:
    """How one column of a table is set."""

    side: Side = "left"  # where its texts are flush
    gap: int = GAP  # blank cells before it
    least: int = 0  # cells that it takes even if all of its texts are narrower


def lay_out(rows: Iterable[Sequence[str]], columns: Sequence[Column]) -> list[str]:
    """``rows`` as lines of equal width, blanks at their ends included, so that they can be a column themselves."""
    texts = [[printable(text) for text in row] for row in rows]
    widths = [max(column.least, width) for column, width in zip(columns, column_widths(texts), strict=True)]
    return [
        "".join(
            " " * column.gap + pad(text, width, column.side)
            for text, width, column in zip(row, widths, columns, strict=True)
        )
        for row in texts
    ]


def table_lines(rows: Iterable[Sequence[str]], columns: Sequence[Column]) -> list[str]:
    """``rows`` as lines, without blanks at their ends."""
    return [line.rstrip(" ") for line in lay_out(rows, columns)]


def column_widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """The cells that each column needs; ``rows`` holds one row at least."""
    return [max(map(cell_width, texts)) for texts in zip(*rows, strict=True)]


@dataclass(frozen=True, slots=True)
class Fit:
    """The columns that a width has room for."""

    kept: tuple[int, ...]  # positions
    first: int  # cells for the first column, less than it would like where names must be shortened


def fit(widths: Sequence[int], ranks: Sequence[int], limit: int | None, *, named: bool = True) -> Fit:
    """Choose the columns of the given ``widths`` that fit ``limit`` cells.

    The first column always stays, with at least one more. Columns go by rank, the highest first, until the rest fits.
    Where the first column is ``named``, it holds names: they are shortened before one of the last three numbers is
    lost, while they stay readable.
    """
    kept = list(range(len(widths)))
    while limit is not None and len(kept) > 2 and _total(widths, kept) > limit:
        spare = limit - _total(widths, kept) + widths[0]
        if named and spare >= _SHORTEST_NAME.get(len(kept), widths[0]):
            break
        kept.remove(max(kept[1:], key=lambda position: ranks[position]))
    if limit is None or not named:
        return Fit(tuple(kept), widths[0])
    spare = limit - _total(widths, kept) + widths[0]
    return Fit(tuple(kept), max(1, min(widths[0], spare)))


def _total(widths: Sequence[int], kept: Sequence[int]) -> int:
    return sum(widths[position] for position in kept) + GAP * (len(kept) - 1)


def narrowed(widths: Sequence[int], limit: int) -> list[int]:
    """``widths`` that take ``limit`` cells together, for columns whose texts may wrap: the widest give way first."""
    narrow = list(widths)
    while (excess := sum(narrow) - limit) > 0 and any(narrow):
        widest = max(narrow)
        step = widest - max((width for width in narrow if width < widest), default=0)
        widest_columns = [position for position, width in enumerate(narrow) if width == widest]
        for done, position in enumerate(widest_columns):
            cut = min(step, round(excess / (len(widest_columns) - done)))
            narrow[position] -= cut
            excess -= cut
    return narrow


def align_units(texts: Sequence[str]) -> list[str]:
    """Pad ``"1.814 G"``, ``"64"`` and ``"0"`` on the right so that, set flush right, their numbers end in one line."""
    units = [text.rpartition(" ")[2] if " " in text else "" for text in texts]
    widest = max(map(len, units), default=0)
    if not widest:
        return list(texts)
    return [
        text + " " * (widest - len(unit) + (0 if unit else 1)) if text else text
        for text, unit in zip(texts, units, strict=True)
    ]
