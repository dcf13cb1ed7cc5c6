"""Progress on standard error, where a person sees it: not in a pipe, and not with ``--quiet``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from torchstat_cli.cli.options import is_quiet
from torchstat_cli.foreign_text import one_line

if TYPE_CHECKING:
    from rich.progress import Progress

# rich is imported late: it takes long, and most runs have no terminal. It reads strings as markup, so it gets none.


@contextmanager
def progress(verb: str, names: list[str]) -> Iterator[Callable[[str], None]]:
    """Show how many of ``names`` are done; yields the function to call with each one."""
    if not _is_seen() or len(names) < 2:
        yield lambda name: None
        return
    with _bar() as bar:
        task = bar.add_task(verb, total=len(names))
        yield lambda name: bar.update(task, advance=1, description=f"{verb}, last {_short(name)}")


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
    from rich.text import Text

    count = 0
    with Console(stderr=True).status(Text(verb)) as status:

        def step(name: str) -> None:
            nonlocal count
            count += 1
            status.update(Text(f"{verb}: {count}, at {_short(name)}"))

        yield step


def _is_seen() -> bool:
    return not is_quiet() and sys.stderr.isatty()


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    words = TextColumn("{task.description}", markup=False)
    return Progress(
        words, BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), console=Console(stderr=True), transient=True
    )


def _short(name: str) -> str:
    return one_line(name, 80)
