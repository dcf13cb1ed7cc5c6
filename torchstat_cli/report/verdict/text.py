"""A verdict for the terminal: one line per quiet model, a block per model over its limit, one closing line."""

from __future__ import annotations

import re
from dataclasses import dataclass

from torchstat_cli.foreign_text import printable
from torchstat_cli.gate.verdict import UNDECIDED, ModelVerdict, State, Verdict
from torchstat_cli.report.cleaning import cleaned
from torchstat_cli.report.verdict.block import block_lines
from torchstat_cli.report.verdict.cells import NumberCells, number_cells
from torchstat_cli.report.verdict.closing import closing_line, model_notices
from torchstat_cli.report.width import cell_width, pad

_COLORS = {
    "PASS": "32",
    "BETTER": "36",
    "FAIL": "1;31",
    "NEW": "33",
    "GONE": "33",
    "INHERITED": "33",
    "PARTIAL": "33",
    "STALE": "1;31",
    "ERROR": "1;31",
}
_STATE_WORD = re.compile(rf"^( *)({'|'.join(_COLORS)})(?=  )", re.MULTILINE)
_REASONS = {
    State.ERROR: "could not be measured",
    State.STALE: "not comparable with its baseline",
    State.GONE: "in the baseline, but no longer configured",
}


@dataclass(frozen=True, slots=True)
class TextStyle:
    """How much of a verdict to print."""

    explain: bool | None = None  # None: for failures only
    top: int = 5  # groups to list
    quiet: bool = False  # failures only
    verbose: bool = False  # every metric of every model
    color: bool = False  # ANSI codes


def render_text(verdict: Verdict, style: TextStyle | None = None) -> str:
    """The verdict as lines for people."""
    verdict, style = cleaned(verdict), style or TextStyle()
    parts = [*_model_parts(verdict, style), *_notice_parts(verdict, style), closing_line(verdict)]
    text = "\n".join(parts) + "\n"
    return _STATE_WORD.sub(_colored, text) if style.color else text


def _colored(match: re.Match[str]) -> str:
    return f"{match[1]}\033[{_COLORS[match[2]]}m{match[2]}\033[0m"


def _model_parts(verdict: Verdict, style: TextStyle) -> list[str]:
    shown = [model for model in verdict.models if not style.quiet or verdict.fails(model) or model.state in UNDECIDED]
    grid = _Grid(shown)
    parts: list[str] = []
    for model in shown:
        if _wants_block(verdict, model, style):
            checks = model.checks if style.verbose else model.shown
            top = style.top if _explains(model, style) else 0
            parts += [grid.head(model, model.source or model.spec), *block_lines(verdict, model, checks, top)]
        else:
            parts.append(grid.line(model))
    return [*parts, ""] if parts and parts[-1] else parts


def _wants_block(verdict: Verdict, model: ModelVerdict, style: TextStyle) -> bool:
    if not model.checks:
        return False
    changed = any(check.growth for check in model.shown)
    updated = verdict.update is not None and changed
    return model.state is State.FAIL or style.verbose or updated or bool(style.explain and changed)


def _explains(model: ModelVerdict, style: TextStyle) -> bool:
    return style.explain if style.explain is not None else model.state is State.FAIL


def _notice_parts(verdict: Verdict, style: TextStyle) -> list[str]:
    if style.quiet:
        return []
    notices = model_notices(verdict)
    return [*notices, ""] if notices else []


class _Grid:
    """The columns that all one-line models of a report share."""

    def __init__(self, models: list[ModelVerdict]) -> None:
        self._state = max((len(model.state) for model in models), default=0)
        self._name = max((cell_width(printable(model.name)) for model in models), default=0)
        quiet = [number_cells(check) for model in models if model.state is not State.FAIL for check in model.shown]
        self._value: dict[str, int] = {}
        self._change: dict[str, int] = {}
        for cells in quiet:
            self._value[cells.label] = max(self._value.get(cells.label, 0), cell_width(cells.now))
            self._change[cells.label] = max(self._change.get(cells.label, 0), cell_width(cells.change))

    def head(self, model: ModelVerdict, text: str) -> str:
        """State, name, and whatever follows."""
        return f"{pad(model.state, self._state)}  {pad(printable(model.name), self._name)}   {text}".rstrip()

    def line(self, model: ModelVerdict) -> str:
        """A whole model in one line."""
        if model.state in _REASONS:
            return self.head(model, _REASONS[model.state])
        return self.head(model, "    ".join(self._number(number_cells(check)) for check in model.shown))

    def _number(self, cells: NumberCells) -> str:
        value, change = self._value.get(cells.label, 0), self._change.get(cells.label, 0)
        return f"{printable(cells.label)} {pad(cells.now, value, 'right')}  {pad(cells.change, change)}"
