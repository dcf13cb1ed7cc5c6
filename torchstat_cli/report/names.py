"""How modules are named to people."""

from __future__ import annotations

from torchstat_cli.foreign_text import printable

ROOT = "(root)"
"""The model itself, whose path is empty."""


def shown_path(path: str) -> str:
    """The path of a module, without characters that would move a cursor."""
    return printable(path) or ROOT
