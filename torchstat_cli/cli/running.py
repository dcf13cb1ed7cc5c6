"""A line on standard error that tells where a long run is, where somebody is there to see it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


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
