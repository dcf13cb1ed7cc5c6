"""A plain list of texts under headings, for commands that list something: as a table, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from torchstat_cli.report.terminal import Terminal, to_ascii


def render_listing(headings: Sequence[str], rows: Sequence[Sequence[str]], form: str, terminal: Terminal) -> str:
    """``rows`` in the format ``form``: "table", "csv" or "json"."""
    if form == "json":
        return json.dumps([dict(zip(headings, row, strict=True)) for row in rows], indent=2, ensure_ascii=False) + "\n"
    if form == "csv":
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows([headings, *rows])
        return stream.getvalue()
    return _table(headings, rows, terminal)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], terminal: Terminal) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD if not terminal.ascii else box.ASCII2, pad_edge=False, expand=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(to_ascii(cell) if terminal.ascii else cell for cell in row))
    stream = io.StringIO()
    console = Console(
        file=stream,
        width=terminal.width or 200,
        color_system="auto" if terminal.color else None,
        force_terminal=terminal.color,
        markup=False,
        highlight=False,
    )
    console.print(table)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"
