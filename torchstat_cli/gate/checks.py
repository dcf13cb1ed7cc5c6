"""Judge the numbers of one model against its limits and the snapshot to compare with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torchstat_cli.gate.config import Rule, Rules
from torchstat_cli.gate.limits import Ceiling, Limit
from torchstat_cli.gate.metrics import HEADLINE, METRICS
from torchstat_cli.gate.snapshot import Snapshot
from torchstat_cli.gate.verdict import Check, State

_NO_RULE = Rule((), "nowhere")


@dataclass(frozen=True, slots=True)
class Reference:
    """What a model is compared with."""

    base: Snapshot | None  # None: the model is new
    fork: Snapshot | None = None  # at the merge base, with --against: what the branch inherited


def judge_totals(rules: Rules, now: Snapshot, reference: Reference) -> Iterator[Check]:
    """One check per measured metric of the whole model; those without a limit are reported only."""
    base = reference.base.totals if reference.base else {}
    fork = reference.fork.totals if reference.fork else {}
    for metric in METRICS:
        if metric in now.totals:
            yield _judge(metric, rules.get(metric, _NO_RULE), now.totals[metric], base.get(metric), fork.get(metric))


def judge_modules(rules: Mapping[str, Rules], now: Snapshot, reference: Reference) -> Iterator[Check]:
    """One check per limit on a part of the model."""
    for glob, metrics in rules.items():
        current = now.modules.get(glob, {})
        base = reference.base.modules.get(glob, {}) if reference.base else {}
        fork = reference.fork.modules.get(glob, {}) if reference.fork else {}
        for metric, rule in metrics.items():
            yield _judge(metric, rule, current[metric], base.get(metric), fork.get(metric), glob)


def _judge(
    metric: str, rule: Rule, current: int, base: int | None, fork: int | None, module: str | None = None
) -> Check:
    broken = tuple(limit for limit in rule.limits if _breaks(limit, current, base))
    shown = module is not None or metric in HEADLINE or bool(rule.limits)
    return Check(metric, _state(broken, current, base, fork), current, base, rule.limits, broken, module, shown)


def _breaks(limit: Limit, current: int, base: int | None) -> bool:
    """Equal passes. Growth needs a baseline; without one only ceilings can break."""
    if isinstance(limit, Ceiling):
        return current > limit.amount
    return base is not None and current > limit.bound(base)


def _state(broken: tuple[Limit, ...], current: int, base: int | None, fork: int | None) -> State:
    if broken:
        return State.INHERITED if _inherited(broken, current, fork) else State.FAIL
    if base is None:
        return State.NEW
    return State.BETTER if current < base else State.PASS


def _inherited(broken: tuple[Limit, ...], current: int, fork: int | None) -> bool:
    """Whether every broken limit is a ceiling that was broken before this branch, and the branch added nothing."""
    return fork is not None and current <= fork and all(isinstance(limit, Ceiling) for limit in broken)
