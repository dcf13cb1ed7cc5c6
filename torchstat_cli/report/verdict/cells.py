"""The numbers of a verdict as text: what every reporter of the gate prints, decided once."""

from __future__ import annotations

from dataclasses import dataclass

from torchstat_cli.gate.limits import Ceiling, Limit, spell_limit
from torchstat_cli.gate.metrics import METRICS
from torchstat_cli.gate.verdict import Check, ModelVerdict, State
from torchstat_cli.report.verdict.amounts import format_delta, format_percent, format_value


@dataclass(frozen=True, slots=True)
class NumberCells:
    """One judged number, ready to be laid out; empty where there is nothing to say."""

    label: str  # "flops", "encoder.* flops"
    baseline: str
    now: str
    delta: str  # with its sign; "=" for no change
    percent: str
    limit: str  # the broken limits, else all of them

    @property
    def change(self) -> str:
        """The shortest word for the change: a percentage, else an amount."""
        return self.percent or self.delta

    @property
    def sentence(self) -> str:
        """``params 5.712 M -> 6.895 M (+20.70 %), limit +1%``."""
        before = f"{self.baseline} -> " if self.baseline not in ("", self.now) else ""
        grown = f" ({self.change})" if self.change not in ("", "=") else ""
        return f"{self.label} {before}{self.now}{grown}{f', limit {self.limit}' if self.limit else ''}"


def number_cells(check: Check, *, exact_counts: bool = False) -> NumberCells:
    """The cells of one check; every digit where short forms would hide the difference.

    Args:
        exact_counts: print counts in full always, as in a table that is read at leisure.
    """
    exact = _hides_the_difference(check) or (exact_counts and METRICS[check.metric].unit == "count")
    known = check.before is not None
    return NumberCells(
        label=check.label,
        baseline=_value(check.metric, check.before or 0, exact) if known else "",
        now=_value(check.metric, check.current, exact),
        delta=_delta(check, exact) if known else "",
        percent=format_percent(check.growth, check.before),
        limit=", ".join(
            _limit(limit, check.metric, _hides_the_difference(check)) for limit in check.broken or check.limits
        ),
    )


def _hides_the_difference(check: Check) -> bool:
    """Whether two numbers that differ would read the same: 100 kB over a limit of 100 kB."""
    now = format_value(check.metric, check.current)
    ceilings = [limit.amount for limit in check.broken if isinstance(limit, Ceiling)]
    others = [*ceilings, *([check.before] if check.before is not None else [])]
    return any(other != check.current and format_value(check.metric, other) == now for other in others)


def _value(metric: str, value: int, exact: bool) -> str:
    return f"{value:,}" if exact else format_value(metric, value)


def _delta(check: Check, exact: bool) -> str:
    return f"{check.growth:+,}" if exact and check.growth else format_delta(check.metric, check.growth)


def _limit(limit: Limit, metric: str, exact: bool) -> str:
    return f"{limit.amount:,}" if exact and isinstance(limit, Ceiling) else spell_limit(limit, METRICS[metric])


def counted(number: int, noun: str) -> str:
    """``1 model``, ``2 models``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def is_plain(model: ModelVerdict) -> bool:
    """Whether no number of the model moved and nothing is to be said about it."""
    return model.state is State.PASS and not any(check.growth for check in model.shown) and not model.notes
