"""The nodes of a model as a table, CSV, JSON or bare names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torchstat_cli.report.listing import render_listing
from torchstat_cli.report.terminal import Terminal
from torchstat_cli.units import format_bytes, format_shape

if TYPE_CHECKING:
    from torchstat_cli.activations.nodes.recording import NodeRecord

HEADINGS = ("name", "kind", "type", "shape", "dtype", "bytes", "modes")


def render(rows: Sequence[tuple[NodeRecord, str]], form: str, terminal: Terminal | None = None) -> str:
    """Each node of ``rows`` with its modes, in the format ``form``: "table", "csv", "json" or "names"."""
    if form == "names":
        return "".join(f"{node.name}\n" for node, _ in rows)
    if form == "json":
        return json.dumps([_record(node, modes) for node, modes in rows], indent=2) + "\n"
    texts = [_texts(node, modes, raw=form == "csv") for node, modes in rows]
    return render_listing(HEADINGS, texts, form, terminal or Terminal())


def _record(node: NodeRecord, modes: str) -> dict[str, object]:
    shapes = None if node.shapes is None else [list(shape) for shape in node.shapes]
    values = (node.name, node.kind, node.type, shapes, node.dtype, node.nbytes, modes.split())
    return dict(zip(HEADINGS, values, strict=True))


def _texts(node: NodeRecord, modes: str, *, raw: bool) -> tuple[str, ...]:
    shape = ";".join(map(format_shape, node.shapes or ()))
    size = "" if not node.shapes or node.nbytes is None else str(node.nbytes) if raw else format_bytes(node.nbytes)
    return node.name, node.kind, node.type, shape, node.dtype or "", size, modes
