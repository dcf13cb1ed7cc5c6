"""``modelstat ops``: the registry of operator formulas, in words."""

from __future__ import annotations

from fnmatch import fnmatchcase

import click

from torchstat_cli.cli.options import output_options
from torchstat_cli.cli.streams import foreign_code, results
from torchstat_cli.errors import UsageError


@click.command(name="ops")
@click.argument("pattern", default="*")
@output_options("table", "csv", "json")
def command(pattern: str, form: str, output: str | None) -> None:
    """List the operators that have a formula, what it says and where it comes from.

    PATTERN is a glob on the operator's name, as in 'aten.*pool*'.
    """
    from torchstat_cli.report.listing import render_listing
    from torchstat_cli.report.writing import terminal_of, write
    from torchstat_cli.tasks.registry import operator_formulas

    with foreign_code():  # packages bring formulas of their own
        rows = operator_formulas()
    rows = [row for row in rows if fnmatchcase(row[0], pattern)]
    if not rows:
        raise UsageError(f"no operator matches {pattern!r}", "write a glob such as 'aten.*pool*', or none to list all")
    headings = ("operator", "formula", "convention", "source")
    write(render_listing(headings, rows, form, terminal_of(output, results())), output, results())
