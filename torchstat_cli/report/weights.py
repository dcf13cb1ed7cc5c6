"""What a file of weights holds, as a table, CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from torchstat_cli.errors import UsageError
from torchstat_cli.records import SCHEMA
from torchstat_cli.records.weights import StoredTensor, Weights
from torchstat_cli.report.cleaning import cleaned
from torchstat_cli.report.layout import Column, table_lines
from torchstat_cli.report.terminal import Terminal, styled, to_ascii
from torchstat_cli.units import format_bytes, format_count, format_shape

_COLUMNS = (Column(gap=0), Column(), Column(), Column("right"), Column("right"), Column("right"))
_LABEL = 12


def render(
    weights: Weights,
    form: str = "table",
    terminal: Terminal | None = None,
    *,
    pattern: str | None = None,
    top: int | None = None,
    raw: bool = False,
) -> str:
    """``weights`` as ``"table"``, ``"csv"`` or ``"json"``.

    Args:
        weights: what a file holds.
        form: of the result.
        terminal: what it is shown on.
        pattern: a glob; tensors with other names are left out, but for the totals.
        top: show the largest alone, so many.
        raw: every digit.

    Raises:
        UsageError: the pattern matches no name.
    """
    chosen = [tensor for tensor in weights.tensors if pattern is None or fnmatchcase(tensor.name, pattern)]
    if not chosen:
        raise UsageError(f"no tensor matches {pattern!r}", "write a glob such as 'layers.0.*', or leave --filter out")
    if top is not None:
        chosen = sorted(chosen, key=lambda tensor: -tensor.nbytes)[:top]
    if form == "json":
        return _json(weights, chosen)
    if form == "csv":
        return _csv(chosen)
    return "".join(
        f"{line}\n" for line in _table(cleaned(weights), cleaned(tuple(chosen)), terminal or Terminal(), raw)
    )


def _table(weights: Weights, chosen: Sequence[StoredTensor], terminal: Terminal, raw: bool) -> Iterator[str]:
    """Equal tensors of repeated layers share a line."""
    groups: dict[tuple[object, ...], list[StoredTensor]] = {}
    for tensor in chosen:
        pattern = re.sub(r"(?<![^.])\d+(?![^.])", "*", tensor.name)
        groups.setdefault((pattern, *tensor[1:]), []).append(tensor)
    rows = [("tensor", "shape", "dtype", "count", "elements", "bytes")]
    for (repeated, *_), equal in groups.items():
        one, times = equal[0], len(equal)
        name = one.name if times == 1 else str(repeated)
        dtype = one.dtype if one.packing is None else f"{one.dtype} ({one.packing})"
        elements, nbytes = times * one.numel, times * one.nbytes
        rows.append((name, format_shape(one.shape), dtype, str(times), _count(elements, raw), _size(nbytes, raw)))
    heading, *body = [to_ascii(line) if terminal.ascii else line for line in table_lines(rows, _COLUMNS)]
    rule = ("-" if terminal.ascii else "─") * max(map(len, (heading, *body)))
    yield styled(heading, "bold") if terminal.color else heading
    yield from (rule, *body, rule, "")
    for label, text in _summary(weights, raw):
        yield f"{label:<{_LABEL}}{to_ascii(text) if terminal.ascii else text}"


def _summary(weights: Weights, raw: bool) -> Iterator[tuple[str, str]]:
    params = [tensor for tensor in weights.tensors if not tensor.is_buffer]
    buffers = [tensor for tensor in weights.tensors if tensor.is_buffer]
    yield "params", f"{_count(weights.params, raw)}, {_size(_bytes(params), raw)}"
    if buffers:
        yield "buffers", f"{_count(weights.buffers, raw)}, {_size(_bytes(buffers), raw)}, known by their names"
    yield "file", f"{weights.path}, {weights.kind}, {len(weights.tensors)} tensors, {_size(weights.nbytes, raw)}"
    kinds: dict[str, list[StoredTensor]] = {}
    for tensor in weights.tensors:
        kinds.setdefault(tensor.packing or tensor.dtype, []).append(tensor)
    parts = [
        f"{kind} {_count(sum(tensor.numel for tensor in equal), raw)} in {_size(_bytes(equal), raw)}"
        for kind, equal in sorted(kinds.items(), key=lambda item: -_bytes(item[1]))
    ]
    yield "dtypes", ", ".join(parts)
    if weights.tied:
        yield "tied", f"{len(weights.tied)} more names of tensors above, counted once: {', '.join(weights.tied[:3])}"
    if any(tensor.packing for tensor in weights.tensors):
        yield "quantized", "elements are those that the packed weights stand for, bytes are those in the file"
    yield "costs", "unknown: weights alone have no code that could be run; name it as package.module:factory"


def _bytes(tensors: Sequence[StoredTensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)


def _count(value: int, raw: bool) -> str:
    return str(value) if raw else format_count(value)


def _size(value: int, raw: bool) -> str:
    return f"{value} B" if raw else format_bytes(value)


def _csv(chosen: Sequence[StoredTensor]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("name", "shape", "dtype", "elements", "bytes", "is_buffer", "packing"))
    for tensor in chosen:
        writer.writerow((tensor.name, format_shape(tensor.shape), *tensor[2:5], tensor.is_buffer, tensor.packing or ""))
    return stream.getvalue()


def _json(weights: Weights, chosen: Sequence[StoredTensor]) -> str:
    totals = {"params": weights.params, "buffers": weights.buffers, "bytes": weights.nbytes}
    tensors = [dict(zip(StoredTensor.__annotations__, tensor, strict=True)) for tensor in chosen]
    report = {
        "schema": SCHEMA,
        "tool": "modelstat",
        "weights": weights.path,
        "kind": weights.kind,
        "totals": totals,
        "tied": weights.tied,
        "tensors": tensors,
    }
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"
