"""How modules are named to people."""

from __future__ import annotations

from torchstat_cli.foreign_text import printable

ROOT = "(root)"
"""The model itself, whose path is empty."""


def shown_path(path: str) -> str:
    """The path of a module, without characters that would move a cursor."""
    return printable(path) or ROOT


def last_name(text: str) -> str:
    """The last part of a shown path, with what it is shared with: ``decoder.head = embed`` is ``head = embed``."""
    name, mark, shared = text.partition(" = ")
    return name.rpartition(".")[2] + mark + shared
