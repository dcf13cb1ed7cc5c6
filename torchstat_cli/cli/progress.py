"""A progress bar on standard error, where somebody is there to see it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def progress(verb: str, names: list[str]) -> Iterator[Callable[[str], None]]:
    """Show how many of ``names`` are done; yields the function to call with each one. Silent without a terminal."""
    context = click.get_current_context(silent=True)
    quiet = context is not None and context.find_root().params.get("quiet", False)
    if quiet or len(names) < 2 or not sys.stderr.isatty():
        yield lambda name: None
        return
    # rich takes long to import, and most runs have no terminal.
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(verb, total=len(names))
        yield lambda name: bar.update(task, advance=1, description=f"{verb}, last {name}")


@contextmanager
def counting(verb: str) -> Iterator[Callable[[int], None]]:
    """Show which of many sizes is worked on; yields the function to call with each. Silent without a terminal."""
    context = click.get_current_context(silent=True)
    quiet = context is not None and context.find_root().params.get("quiet", False)
    if quiet or not sys.stderr.isatty():
        yield lambda size: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(verb, total=None)
        yield lambda size: bar.update(task, advance=1, description=f"{verb} size {size}")


@contextmanager
def running(verb: str) -> Iterator[Callable[[str], None]]:
    """Show ``verb``, the count and the latest name; yields the function to call with each."""
    context = click.get_current_context(silent=True)
    quiet = context is not None and context.find_root().params.get("quiet", False)
    if quiet or not sys.stderr.isatty():
        yield lambda name: None
        return
    # rich takes long to import, and most runs have no terminal.
    from rich.console import Console

    count = 0
    with Console(stderr=True).status(verb) as status:

        def step(name: str) -> None:
            nonlocal count
            count += 1
            status.update(f"{verb}: {count}, at {name}")

        yield step
