"""Progress on standard error, where a person sees it: not in a pipe, and not with ``--quiet``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torchstat_cli.cli.options import is_quiet
from torchstat_cli.foreign_text import printable

if TYPE_CHECKING:
    from rich.progress import Progress


@contextmanager
def progress(verb: str, names: list[str]) -> Iterator[Callable[[str], None]]:
    """Show how many of ``names`` are done; yields the function to call with each one."""
    if not _is_seen() or len(names) < 2:
        yield lambda name: None
        return
    with _bar() as bar:
        task = bar.add_task(verb, total=len(names))
        yield lambda name: bar.update(task, advance=1, description=f"{verb}, last {_plain(name)}")


@contextmanager
def counting(verb: str) -> Iterator[Callable[[int], None]]:
    """Show which of many sizes is worked on; yields the function to call with each."""
    if not _is_seen():
        yield lambda size: None
        return
    with _bar() as bar:
        task = bar.add_task(verb, total=None)
        yield lambda size: bar.update(task, advance=1, description=f"{verb} size {size}")


@contextmanager
def running(verb: str) -> Iterator[Callable[[str], None]]:
    """Show ``verb``, the count and the latest name; yields the function to call with each."""
    if not _is_seen():
        yield lambda name: None
        return
    from rich.console import Console

    count = 0
    with Console(stderr=True).status(verb) as status:

        def step(name: str) -> None:
            nonlocal count
            count += 1
            status.update(f"{verb}: {count}, at {_plain(name)}")

        yield step


def _is_seen() -> bool:
    return not is_quiet() and sys.stderr.isatty()


def _plain(name: str) -> str:
    """``name`` as rich shows it letter by letter: no markup, and nothing that moves the cursor."""
    from rich.markup import escape

    return escape(printable(name))


def _bar() -> Progress:
    # rich takes long to import, and most runs have no terminal.
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True), transient=True)
