"""What the place that a table is printed on can show."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

_DRAWING = "─…×≥→–│├└█"


@dataclass(frozen=True, slots=True)
class Terminal:
    """Width, characters and colours of an output."""

    width: int | None = None  # cells; None never wraps nor drops anything, as for a file or a pipe
    ascii: bool = False  # draw with ASCII alone
    color: bool = False  # style with ANSI codes

    @classmethod
    def detect(cls, stream: TextIO, environ: Mapping[str, str] = os.environ, *, color: bool = True) -> Terminal:
        """What ``stream`` can show; honours ``NO_COLOR``, ``TERM=dumb`` and ``COLUMNS``. ``color=False`` forbids it."""
        interactive = stream.isatty()
        dumb = environ.get("TERM") == "dumb"
        return cls(
            width=shutil.get_terminal_size().columns if interactive else None,
            ascii=dumb or not _can_encode(_DRAWING, stream),
            color=color and interactive and not dumb and not environ.get("NO_COLOR"),
        )


def _can_encode(text: str, stream: TextIO) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


_PLAIN = str.maketrans(
    {"─": "-", "…": "...", "×": "x", "≥": ">=", "→": "->", "–": "-", "│": "|", "├": "|", "└": "`", "█": "#"}
)


def to_ascii(text: str) -> str:
    """``text`` in ASCII: our own signs spelt out, any other character as its escape."""
    return text if text.isascii() else text.translate(_PLAIN).encode("ascii", "backslashreplace").decode("ascii")


def styled(text: str, style: str) -> str:
    """``text`` with the ANSI codes of ``style``, as rich spells it: "bold", "dim italic"; "" for none."""
    if not text or not style:
        return text
    # Only a terminal with colors pays for importing this.
    from rich.color import ColorSystem
    from rich.style import Style

    return Style.parse(style).render(text, color_system=ColorSystem.STANDARD)
