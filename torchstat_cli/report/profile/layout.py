"""Make a table fit a width: measure cells, drop whole columns, shorten names, and never touch a number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import combining, east_asian_width

from torchstat_cli.report.profile.columns import Column

GAP = 2
"""Blank cells between two columns."""

_SHORTEST_NAME = {4: 24, 3: 12}
"""By columns left: shorten names down to these cells before the next number is lost."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The columns that a width has room for."""

    kept: tuple[int, ...]  # positions
    name_width: int  # cells for the first column, less than it would like where names must be shortened


def cell_width(text: str) -> int:
    """The cells that ``text`` takes on a terminal; East Asian characters take two."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def fit(columns: Sequence[Column], widths: Sequence[int], limit: int | None) -> Fit:
    """Choose the columns of the given ``widths`` that fit ``limit`` cells.

    The first column names the rows and always stays, with at least one more. Columns go by rank, the highest first,
    until the rest fits; names are shortened before one of the last three numbers is lost, while they stay readable.
    """
    kept = list(range(len(columns)))
    while limit is not None and len(kept) > 2 and _total(widths, kept) > limit:
        spare = limit - _total(widths, kept) + widths[0]
        if columns[0].kind == "text" and spare >= _SHORTEST_NAME.get(len(kept), widths[0]):
            break
        kept.remove(max(kept[1:], key=lambda position: columns[position].rank))
    if limit is None or columns[0].kind != "text":
        return Fit(tuple(kept), widths[0])
    spare = limit - _total(widths, kept) + widths[0]
    return Fit(tuple(kept), max(1, min(widths[0], spare)))


def _total(widths: Sequence[int], kept: Sequence[int]) -> int:
    return sum(widths[position] for position in kept) + GAP * (len(kept) - 1)


def shorten(text: str, width: int, mark: str = "…") -> str:
    """``text`` in at most ``width`` cells, with ``mark`` in place of its middle; the end says more than the start."""
    if cell_width(text) <= width:
        return text
    room = width - cell_width(mark)
    if room <= 0:
        return mark[:width]
    head, tail = _prefix(text, room // 3), ""
    tail = _prefix(text[::-1], room - cell_width(head))[::-1]
    return f"{head}{mark}{tail}"


def _prefix(text: str, width: int) -> str:
    """The longest start of ``text`` that takes at most ``width`` cells."""
    end = min(len(text), width)
    while cell_width(text[:end]) > width:
        end -= 1
    return text[:end]


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
