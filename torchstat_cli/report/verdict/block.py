"""The block of one model in the terminal report: its numbers, why it grew, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from torchstat_cli.gate.explain import Explanation, GroupChange
from torchstat_cli.gate.limits import Ceiling
from torchstat_cli.gate.metrics import SUMMED_METRICS
from torchstat_cli.gate.verdict import Check, ModelVerdict, State, Verdict
from torchstat_cli.report.layout import Column, lay_out, table_lines
from torchstat_cli.report.names import shown_path
from torchstat_cli.report.verdict.amounts import format_delta
from torchstat_cli.report.verdict.cells import number_cells

_SIGNS = {"changed": "~", "added": "+", "removed": "-"}
_CHANGE = (Column(gap=0), Column("right"))
_NUMBERS = (
    Column(least=len("FAIL")),
    Column(),
    Column("right", gap=5),
    Column("right", gap=4),
    Column("right", gap=3),
    Column("right", gap=4),
)
"""How word, metric, baseline, now, change and limit are set."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of an explanation, not yet laid out."""

    sign: str
    deltas: list[str]
    path: str
    text: str


def block_lines(verdict: Verdict, model: ModelVerdict, checks: tuple[Check, ...], top: int) -> list[str]:
    """The lines below the head line of ``model``, an empty one before and after.

    Args:
        checks: the numbers to print.
        top: layer groups to list; 0 for no explanation.
    """
    lines = ["", *_table(checks), ""]
    if top and model.explanation is not None:
        lines += [*why_lines(model.explanation, explained_metrics(model), top), ""]
    if model.state is State.FAIL:
        remedies = [f"  {line}" for line in remedy_lines(verdict, model)]
        lines += [*remedies, ""]
    elif model.notes:
        lines += [*(f"  {note}" for note in model.notes), ""]
    return lines


def _table(checks: tuple[Check, ...]) -> list[str]:
    cells = [number_cells(check) for check in checks]
    changes = lay_out([(number.delta, number.percent) for number in cells], _CHANGE)
    rows = [("", "metric", "baseline", "now", "change", "limit")]
    for check, number, change in zip(checks, cells, changes, strict=True):
        rows.append((_word(check), number.label, number.baseline, number.now, change, number.limit))
    return table_lines(rows, _NUMBERS)


def _word(check: Check) -> str:
    words = {State.FAIL: "FAIL", State.INHERITED: "over", State.NEW: "new"}
    return words.get(check.state, "ok")


def explained_metrics(model: ModelVerdict) -> tuple[str, ...]:
    """The metrics whose change an explanation tells: those over their limit, else those that changed."""
    broken = [check.metric for check in model.checks if check.broken]
    # Peak is no sum over layers; what the layers allocate is the nearest thing to a reason.
    broken = ["memory" if metric == "peak" else metric for metric in broken]
    changed = [check.metric for check in model.shown if check.growth and check.metric in SUMMED_METRICS]
    return tuple(dict.fromkeys(broken or changed))


def why_lines(explanation: Explanation, metrics: tuple[str, ...], top: int) -> list[str]:
    """The changed layer groups of ``metrics`` under a headline; empty where groups explain nothing."""
    relevant = [change for change in explanation.changes if any(change.deltas[metric] for metric in metrics)]
    if not relevant:
        return []
    return [f"  {_headline(explanation, len(relevant), top)}", *change_rows(relevant, metrics, top)]


def change_rows(changes: list[GroupChange], metrics: tuple[str, ...], top: int) -> list[str]:
    """One line per change, and one for those left out, so that the columns sum to the change of the totals."""
    if not changes:
        return []
    shown, rest = changes[:top], changes[top:]
    rows = [
        _Row(_SIGNS[change.kind], _deltas(change, metrics), shown_path(change.path), change.description)
        for change in shown
    ]
    if rest:
        sums = [format_delta(metric, sum(change.deltas[metric] for change in rest)) for metric in metrics]
        rows.append(_Row(" ", sums, f"and {len(rest)} more", ""))
    return _aligned(rows, metrics)


def _headline(explanation: Explanation, relevant: int, top: int) -> str:
    """``Why: 2 of 20 layer groups changed and explain all of the growth``."""
    plural = "s" if explanation.groups != 1 else ""
    changed = f"Why: {relevant} of {explanation.groups} layer group{plural} changed"
    if relevant <= top:
        return f"{changed} and explain{'s' if relevant == 1 else ''} all of the growth"
    return f"{changed}; the largest {top} first"


def _deltas(change: GroupChange, metrics: tuple[str, ...]) -> list[str]:
    return [format_delta(metric, change.deltas[metric]) for metric in metrics]


def _aligned(rows: list[_Row], metrics: tuple[str, ...]) -> list[str]:
    deltas = [Column("right"), *[Column("right", gap=4)] * (len(metrics) - 1)]
    heading = ("", *metrics, "", "")
    texts = [(row.sign, *row.deltas, row.path, row.text) for row in rows]
    return table_lines([heading, *texts], [Column(), *deltas, Column(gap=3), Column(gap=3)])


def remedy_lines(verdict: Verdict, model: ModelVerdict) -> list[str]:
    """What a person whose model failed reads last: the user's message, the accepting command, where limits live."""
    growth = any(not isinstance(limit, Ceiling) for check in model.checks for limit in check.broken)
    lines = [*(model.message or "").splitlines(), *model.notes]
    if growth:
        lines.append(f"Intended?   {verdict.accept(model.name)}      then commit {verdict.baseline}")
    if model.section and model.section != "command line":
        lines.append(f"Too tight?  edit limits in {verdict.config}, {model.section}")
    return lines


def top_group(model: ModelVerdict, metrics: tuple[str, ...]) -> str | None:
    """The group that changed most, in one line; None where groups explain nothing."""
    changes = model.explanation.changes if model.explanation else ()
    change = next((change for change in changes if any(change.deltas[metric] for metric in metrics)), None)
    if change is None:
        return None
    deltas = ", ".join(f"{metric} {format_delta(metric, change.deltas[metric])}" for metric in metrics)
    return f"largest change: {shown_path(change.path)}, {change.description} ({deltas})"
