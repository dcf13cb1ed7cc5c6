"""What the command line says on standard error: notes and errors, each on clean lines, whoever made their words."""

from __future__ import annotations

import sys

import click

from torchstat_cli.foreign_text import MOST_CHARACTERS, one_line

_MOST = 3 * MOST_CHARACTERS  # a sentence that quotes two messages


def notice(text: str) -> None:
    """A note, unless ``--quiet``."""
    context = click.get_current_context(silent=True)
    quiet = context is not None and context.find_root().params.get("quiet", False)
    if not quiet:
        print(f"note: {one_line(text, _MOST)}", file=sys.stderr)


def complain(message: str, remedy: str | None = None) -> None:
    """An error: one sentence with the cause, and what to do about it below."""
    print(f"error: {one_line(message, _MOST)}", file=sys.stderr)
    for line in (remedy or "").splitlines():
        print(f"  {one_line(line, _MOST)}", file=sys.stderr)
