"""Texts measured in the cells of a terminal: padded, shortened and wrapped."""

from __future__ import annotations

from typing import Literal

Side = Literal["left", "right"]


def cell_width(text: str) -> int:
    """The cells that ``text`` takes on a terminal: two for wide characters and emoji, none for combining marks."""
    if text.isascii():
        return len(text)
    # The tables of Unicode take a while to load, and most reports are ASCII.
    from rich.cells import cell_len

    return cell_len(text)


def pad(text: str, width: int, side: Side = "left") -> str:
    """``text`` in ``width`` cells, set flush ``side``; a wider text stays whole."""
    blanks = " " * (width - cell_width(text))
    return text + blanks if side == "left" else blanks + text


def shorten(text: str, width: int, mark: str = "…") -> str:
    """``text`` in at most ``width`` cells, with ``mark`` in place of its middle; the end says more than the start."""
    if cell_width(text) <= width:
        return text
    room = width - cell_width(mark)
    if room <= 0:
        return mark[:width]
    head = _prefix(text, room // 3)
    return f"{head}{mark}{_suffix(text, room - cell_width(head))}"


def _prefix(text: str, width: int) -> str:
    """The longest start of ``text`` that takes at most ``width`` cells."""
    end = min(len(text), width)
    while cell_width(text[:end]) > width:
        end -= 1
    while end < len(text) and cell_width(text[: end + 1]) <= width:  # marks on the last character
        end += 1
    return text[:end]


def _suffix(text: str, width: int) -> str:
    """The longest end of ``text`` that takes at most ``width`` cells and does not begin with a mark."""
    start = max(0, len(text) - width)
    while cell_width(text[start:]) > width:
        start += 1
    while start > 0 and cell_width(text[start - 1 :]) <= width:
        start -= 1
    while start < len(text) and not cell_width(text[start]):
        start += 1
    return text[start:]


def wrap(text: str, width: int, *, fold: bool = False) -> list[str]:
    """``text`` in lines of at most ``width`` cells, broken at blanks; ``fold`` breaks a word that is wider itself."""
    lines, line = [], ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if cell_width(longer) <= width:
            line = longer
            continue
        if line:
            lines.append(line.rstrip(" "))
        *full, line = _pieces(word, width) if fold else [word]
        lines += full
    return [*lines, line]


def _pieces(word: str, width: int) -> list[str]:
    """``word`` in pieces of at most ``width`` cells, at least one character each."""
    pieces = []
    while cell_width(word) > width and len(word) > 1:
        piece = _prefix(word, width) or word[0]
        pieces.append(piece)
        word = word[len(piece) :]
    return [*pieces, word]
