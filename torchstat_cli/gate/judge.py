"""Turn one measured model and its reference into a verdict."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath

from torchstat_cli.errors import ModelstatError
from torchstat_cli.gate.baseline.migration import differences
from torchstat_cli.gate.baseline.snapshot import Snapshot, module_paths, snapshot_of
from torchstat_cli.gate.config import ModelEntry, Rule, Rules
from torchstat_cli.gate.config_table import closest
from torchstat_cli.gate.explain import Explanation, explain
from torchstat_cli.gate.layer_groups import Groups
from torchstat_cli.gate.limits import Ceiling, Limit
from torchstat_cli.gate.metrics import HEADLINE, METRICS, SUMMED_METRICS
from torchstat_cli.gate.verdict import UNDECIDED, Check, ModelVerdict, State, worst
from torchstat_cli.records import Profile

_NO_RULE = Rule((), "nowhere")


def take_snapshot(entry: ModelEntry, profile: Profile) -> Snapshot:
    """The snapshot of ``profile`` that the gate keeps for ``entry``."""
    snapshot = snapshot_of(profile, globs=entry.module_rules)
    return replace(snapshot, spec=entry.spec)


def judge_model(
    entry: ModelEntry, profile: Profile, committed: Snapshot | None, fork: Snapshot | None, *, against: bool
) -> ModelVerdict:
    """The verdict on one measured model.

    Args:
        committed: its entry in the baseline file as it lies there now.
        fork: its entry at the merge base; only ``against`` a git ref.

    Without ``against`` the committed entry counts. With it the branch is compared with where it forked; growth that the
    branch itself wrote into the baseline file is accepted, because a reviewer sees it there. Ceilings are never lifted.
    A model that the fork lacks is new, unless it went beyond the entry that the branch wrote for it.
    """
    now = take_snapshot(entry, profile)
    if not against:
        return _judge(entry, profile, now, Reference(committed))
    verdict = _judge(entry, profile, now, Reference(fork, fork))
    if committed is None or committed == fork:
        return verdict
    accepted = _judge(entry, profile, now, Reference(committed, fork, accepts=True))
    if not _undone(accepted if fork is None else verdict):
        return verdict
    return replace(accepted, notes=(*accepted.notes, *_notes_on_acceptance(accepted, fork, now)))


def _notes_on_acceptance(accepted: ModelVerdict, fork: Snapshot | None, now: Snapshot) -> Iterator[str]:
    for difference in differences(fork.conditions, now.conditions) if fork else ():
        yield f"where this branch forked {difference}, accepted in this branch"
    if not accepted.accepted:
        yield "compared with the entry that this branch wrote into the baseline"


def _undone(verdict: ModelVerdict) -> bool:
    return verdict.state is State.FAIL or verdict.state in UNDECIDED


def _judge(entry: ModelEntry, profile: Profile, now: Snapshot, reference: Reference) -> ModelVerdict:
    verdict = ModelVerdict(
        entry.name,
        State.PASS,
        spec=entry.spec,
        source=_own_file(profile.provenance.source),
        section=entry.origin,
        message=entry.message,
        unknown=profile.unknown,
    )
    missing = next((glob for glob in entry.module_rules if glob not in now.modules), None)
    if missing is not None:
        hint = closest(missing, module_paths(profile.rows)) or "see the paths:  modelstat profile " + entry.spec
        return replace(verdict, state=State.ERROR, problem=f"no module matches the limit for {missing!r}", remedy=hint)
    unmeasured = next((name for name, rule in entry.rules.items() if rule.limits and name not in now.totals), None)
    if unmeasured is not None:
        return replace(verdict, state=State.ERROR, problem=f"{unmeasured} is limited, but this run did not measure it")
    base = reference.base
    differing = differences(base.conditions, now.conditions) if base else []
    if base and differing:
        problem = f"{differing[0]}; the numbers are not comparable"
        # Another version of the rules concerns every entry.
        name = "" if base.conditions.rules != now.conditions.rules else f"{entry.name} "
        remedy = f"measure again on purpose:  modelstat check {name}--update"
        return replace(verdict, state=State.STALE, problem=problem, remedy=remedy)
    checks = (*judge_totals(entry.rules, now, reference), *judge_modules(entry.module_rules, now, reference))
    if not any(check.broken for check in checks) and any(check.accepted_from is not None for check in checks):
        base = reference.fork  # what was accepted is explained too
    return replace(
        verdict,
        state=worst({check.state for check in checks if check.shown} | ({State.PARTIAL} if profile.unknown else set())),
        checks=checks,
        explanation=_explanation(checks, base, now),
        notes=_notes(base, now),
    )


def _own_file(source: str | None) -> str | None:
    """``source`` if it is relative, that is below the folder of the configuration: others are nobody's to mend here."""
    return None if source is None or PurePath(source).is_absolute() else source


def _explanation(checks: tuple[Check, ...], base: Snapshot | None, now: Snapshot) -> Explanation | None:
    if base is None:
        return None
    groups = _on_metrics(now.groups, base.totals)
    if base.groups == groups:
        return None
    broken = tuple(check.metric for check in checks if check.broken and check.metric in SUMMED_METRICS)
    return explain(base.groups, groups, broken or SUMMED_METRICS)


def _on_metrics(groups: Groups, metrics: Collection[str]) -> Groups:
    """``groups`` with the sums of ``metrics`` alone: a baseline says nothing about a metric that is younger than it."""
    if set(SUMMED_METRICS) <= set(metrics):
        return groups
    return {
        path: tuple(
            replace(group, sums={name: value for name, value in group.sums.items() if name in metrics})
            for group in members
        )
        for path, members in groups.items()
    }


def _notes(base: Snapshot | None, now: Snapshot) -> tuple[str, ...]:
    if base is None or base.totals == now.totals:
        return ()
    notes = []
    before, after = base.conditions.torch, now.conditions.torch
    if before != after:
        notes.append(f"torch {before} -> {after} since the baseline: check dispatch first")
    for operator in sorted({*base.unknown} - {*now.unknown}):
        notes.append(f"{operator} was not counted in the baseline and may be now")
    return tuple(notes)


def failed_model(entry: ModelEntry, error: ModelstatError) -> ModelVerdict:
    """The verdict on a model that could not be measured."""
    return ModelVerdict(entry.name, State.ERROR, section=entry.origin, problem=error.message, remedy=error.hint)


def gone_model(name: str) -> ModelVerdict:
    """The verdict on a baseline entry that no configured model has."""
    return ModelVerdict(name, State.GONE)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a model is compared with."""

    base: Snapshot | None  # None: the model is new
    fork: Snapshot | None = None  # at the merge base, with --against: what the branch inherited
    accepts: bool = False  # whether ``base`` is the branch's own entry, which accepts growth since the fork


def judge_totals(rules: Rules, now: Snapshot, reference: Reference) -> Iterator[Check]:
    """One check per measured metric of the whole model; those without a limit are reported only."""
    base = reference.base.totals if reference.base else {}
    fork = reference.fork.totals if reference.fork else {}
    for metric in METRICS:
        if metric in now.totals:
            rule = rules.get(metric, _NO_RULE)
            check = _check(metric, rule, now.totals[metric], base.get(metric), fork.get(metric))
            yield _accepting(check, fork.get(metric)) if reference.accepts else check


def judge_modules(rules: Mapping[str, Rules], now: Snapshot, reference: Reference) -> Iterator[Check]:
    """One check per limit on a part of the model."""
    for glob, metrics in rules.items():
        current = now.modules.get(glob, {})
        base = reference.base.modules.get(glob, {}) if reference.base else {}
        fork = reference.fork.modules.get(glob, {}) if reference.fork else {}
        for metric, rule in metrics.items():
            check = _check(metric, rule, current[metric], base.get(metric), fork.get(metric), glob)
            yield _accepting(check, fork.get(metric)) if reference.accepts else check


def _accepting(check: Check, fork: int | None) -> Check:
    """The check, which knows the number at the fork where the branch's own entry covers growth since."""
    if fork is None or check.baseline is None or check.broken or fork >= min(check.baseline, check.current):
        return check
    return replace(check, accepted_from=fork)


def _check(
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
