"""A verdict as Markdown, for a step summary or a pull request comment."""

from __future__ import annotations

from torchstat_cli.gate.verdict import UNDECIDED, Check, ModelVerdict, State, Verdict
from torchstat_cli.report.cleaning import cleaned
from torchstat_cli.report.verdict.block import explained_metrics, why_lines
from torchstat_cli.report.verdict.cells import counted, is_plain, number_cells
from torchstat_cli.report.verdict.closing import model_notices, pass_summary

MARKER = "<!-- modelstat:check -->"
"""First line of every report: a step that keeps one comment up to date finds its own by it."""

MOST_BYTES = 500_000
"""GitHub drops a step summary over 1 MiB, near it even silently."""

_TABLE_HEAD = (
    "| model | metric | baseline | now | change | limit | |\n| --- | --- | ---: | ---: | ---: | ---: | --- |\n"
)
_WORDS = {State.FAIL: "**over**", State.INHERITED: "over before", State.NEW: "new", State.BETTER: "better"}
_ROOM_FOR_REST = 2_000  # bytes kept for the headline and for what was left out


def render_markdown(verdict: Verdict, top: int = 5, most_bytes: int = MOST_BYTES) -> str:
    """The verdict in at most ``most_bytes``; what does not fit is counted, failing models come first."""
    verdict = cleaned(verdict)
    head = f"{MARKER}\n### modelstat: {_headline(verdict)}\n\n"
    speaking = sorted((model for model in verdict.models if not is_plain(model)), key=_urgency)
    budget = _Budget(most_bytes - len(head.encode()) - _ROOM_FOR_REST)
    table = "".join(budget.take([_rows(model) for model in speaking if model.checks], _TABLE_HEAD))
    problems = "".join(budget.take([_problem(model) for model in speaking if model.state in UNDECIDED]))
    grown = [model for model in speaking if model.state is State.FAIL or model.accepted]
    why = "".join(budget.take([_why(model, top) for model in grown]))
    notices = "".join(budget.take([f"- {line.strip()}\n" for line in (*verdict.notices, *model_notices(verdict))]))
    unchanged = [f"- {escape(model.name)}\n" for model in verdict.models if is_plain(model)]
    parts = [
        f"{_TABLE_HEAD}{table}" if table else "",
        problems,
        _folded("Why it grew", why),
        _folded(f"{counted(len(unchanged), 'model')} unchanged", "".join(budget.take(unchanged))),
        notices,
        f"{budget.left_out} more entries did not fit here.\n" if budget.left_out else "",
    ]
    return head + "\n".join(part for part in parts if part)


class _Budget:
    """Bytes that are left; what no longer fits is dropped and counted."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.left_out = 0

    def take(self, texts: list[str], head: str = "") -> list[str]:
        """Those of ``texts`` that fit below ``head``."""
        kept = []
        self._size -= len(head.encode()) if texts else 0
        for text in filter(None, texts):
            size = len(text.encode())
            if size > self._size:
                self.left_out += 1
                continue
            self._size -= size
            kept.append(text)
        return kept


def _urgency(model: ModelVerdict) -> int:
    if model.state in UNDECIDED:
        return 0
    return 1 if model.state is State.FAIL else 2


def _headline(verdict: Verdict) -> str:
    models = counted(len(verdict.models), "model")
    if verdict.state is State.ERROR:
        return f"{sum(model.state in UNDECIDED for model in verdict.models)} of {models} could not be decided"
    if verdict.state is State.FAIL:
        over = len(verdict.having(State.FAIL))
        if over:
            return f"{over} of {models} over its limit" if over == 1 else f"{over} of {models} over their limits"
        return f"{len(verdict.failing)} of {models} refused by --strict"
    return pass_summary(verdict)


def _rows(model: ModelVerdict) -> str:
    return "".join(_row(model.name, check) for check in model.shown)


def _row(name: str, check: Check) -> str:
    cells = number_cells(check, exact_counts=True)
    change = f"{cells.delta} ({cells.percent})" if cells.percent else cells.delta
    word = "accepted in this branch" if check.accepted_from is not None else _WORDS.get(check.state, "ok")
    return (
        f"| `{escape(name)}` | {escape(cells.label)} | {cells.baseline} | {cells.now} | {change} "
        f"| {cells.limit} | {word} |\n"
    )


def _problem(model: ModelVerdict) -> str:
    remedy = f"  \n  {escape(model.remedy)}" if model.remedy else ""
    return f"- **{model.state}** `{escape(model.name)}`: {escape(model.problem or '')}{remedy}\n"


def _why(model: ModelVerdict, top: int) -> str:
    if model.explanation is None:
        return ""
    lines = why_lines(model.explanation, explained_metrics(model), top)
    fence = "```"
    return f"`{escape(model.name)}`\n\n{fence}text\n" + "\n".join(lines) + f"\n{fence}\n\n" if lines else ""


def _folded(summary: str, body: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{body.strip()}\n\n</details>\n" if body else ""


def escape(text: str) -> str:
    """``text`` that cannot end a table cell, a code span or the line."""
    return text.replace("|", "\\|").replace("`", "'").replace("<", "&lt;").replace("\r", " ").replace("\n", " ")
