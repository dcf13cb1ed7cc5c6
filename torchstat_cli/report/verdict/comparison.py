"""A comparison of two models as text, Markdown or JSON."""

from __future__ import annotations

import json

from torchstat_cli.foreign_text import printable
from torchstat_cli.gate.compare import Comparison, Total
from torchstat_cli.gate.metrics import METRICS
from torchstat_cli.report.cleaning import cleaned
from torchstat_cli.report.layout import Column, table_lines
from torchstat_cli.report.verdict.amounts import format_delta, format_percent, format_value
from torchstat_cli.report.verdict.block import change_rows
from torchstat_cli.report.verdict.json import change_document
from torchstat_cli.report.verdict.markdown import escape

COMPARISON_SCHEMA = 1
_COLUMNS = ("params", "flops", "memory")
_TOTALS = (Column(gap=0), Column("right", gap=4), Column("right", gap=4), Column(gap=4), Column("right"))
"""How metric, before, after, change and percent are set."""


def render_comparison(comparison: Comparison, form: str, top: int = 20) -> str:
    """The comparison in one of the forms ``text``, ``markdown`` and ``json``; ``top`` layer groups for people.

    Raises:
        ValueError: no such form.
    """
    if form == "json":
        return json.dumps(comparison_document(comparison), indent=2) + "\n"
    if form == "markdown":
        return _markdown(cleaned(comparison), top)
    if form == "text":
        return _text(cleaned(comparison), top)
    raise ValueError(f"no form {form!r}; choose text, markdown or json")


def comparison_document(comparison: Comparison) -> dict[str, object]:
    """The comparison as plain values, every changed group included."""
    return {
        "schema": COMPARISON_SCHEMA,
        "tool": "modelstat",
        "before": comparison.before,
        "after": comparison.after,
        "totals": {
            total.metric: {"before": total.before, "after": total.after, "delta": total.delta}
            for total in comparison.totals
        },
        "groups": comparison.explanation.groups,
        "changes": [change_document(change) for change in comparison.explanation.changes],
        "added": list(comparison.added),
        "removed": list(comparison.removed),
        "cautions": list(comparison.cautions),
    }


def _cells(total: Total) -> tuple[str, str, str, str, str]:
    """Metric, before, after, change, percent; every digit where short forms would hide a difference."""
    before, after = format_value(total.metric, total.before), format_value(total.metric, total.after)
    delta, percent = format_delta(total.metric, total.delta), format_percent(total.delta, total.before)
    if total.delta and before == after:
        before, after, delta = f"{total.before:,}", f"{total.after:,}", f"{total.delta:+,}"
    return total.metric, before, after, delta, percent


def _text(comparison: Comparison, top: int) -> str:
    rows = [("", comparison.before, comparison.after, "change", ""), *map(_cells, comparison.totals)]
    lines = table_lines(rows, _TOTALS)
    lines += ["", _summary(comparison), *change_rows(list(comparison.explanation.changes), _metrics(comparison), top)]
    lines += _modules("added", comparison.added) + _modules("removed", comparison.removed)
    return "\n".join(lines).rstrip() + "\n"


def _summary(comparison: Comparison) -> str:
    changes = len(comparison.explanation.changes)
    if not changes:
        return "The two have the same layer groups."
    return f"{changes} of {comparison.explanation.groups} layer groups differ"


def _metrics(comparison: Comparison) -> tuple[str, ...]:
    """The usual columns, and any other metric that alone differs."""
    changes = comparison.explanation.changes
    usual = tuple(metric for metric in _COLUMNS if any(change.deltas[metric] for change in changes))
    rest = (metric for metric in METRICS if any(change.deltas.get(metric) for change in changes))
    return usual or tuple(rest) or ("params",)


def _modules(verb: str, paths: tuple[str, ...]) -> list[str]:
    if not paths:
        return []
    shown = ", ".join(map(printable, paths[:10]))
    more = f", and {len(paths) - 10} more" if len(paths) > 10 else ""
    return ["", f"{verb}: {shown}{more}"]


def _markdown(comparison: Comparison, top: int) -> str:
    lines = [
        f"| | {escape(comparison.before)} | {escape(comparison.after)} | change | |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(f"| {' | '.join(_cells(total))} |" for total in comparison.totals),
        "",
        _summary(comparison),
    ]
    changes = change_rows(list(comparison.explanation.changes), _metrics(comparison), top)
    if changes:
        lines += ["", "```text", *changes, "```"]
    lines += map(escape, _modules("added", comparison.added) + _modules("removed", comparison.removed))
    return "\n".join(lines) + "\n"
