"""One run of the gate, from measured models to the verdict; reading and writing files is its only side effect."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from torchstat_cli.errors import BaselineError, ModelstatError, UsageError
from torchstat_cli.gate.baseline.files import differs, load_baseline, parse_baseline, save_baseline
from torchstat_cli.gate.baseline.git import read_at_merge_base
from torchstat_cli.gate.baseline.json import Baseline
from torchstat_cli.gate.baseline.locking import sole_writer
from torchstat_cli.gate.baseline.migration import as_measured, migrations
from torchstat_cli.gate.baseline.renames import name_in, twin
from torchstat_cli.gate.baseline.update import ratcheted, updated
from torchstat_cli.gate.config import GateConfig, ModelEntry
from torchstat_cli.gate.judge import failed_model, gone_model, judge_model, take_snapshot
from torchstat_cli.gate.limits import Ceiling
from torchstat_cli.gate.verdict import ModelVerdict, State, Update, Verdict
from torchstat_cli.records import Profile

Outcomes = Mapping[str, Profile | ModelstatError]
"""What measuring gave, by model name."""


@dataclass(frozen=True, slots=True)
class Request:
    """What one run was asked to do."""

    names: tuple[str, ...] = ()  # empty: every configured model
    against: str | None = None  # git ref
    update: bool = False
    ratchet: bool = False
    strict: bool = False
    exit_zero: bool = False

    def __post_init__(self) -> None:
        asked = [flag for flag, given in (("--update", self.update), ("--ratchet", self.ratchet)) if given]
        against = self.against is not None
        if len(asked) > 1 or (asked and against):
            others = " and ".join([*asked, *(["--against"] if against else [])])
            raise UsageError(f"{others} cannot be combined", "an update writes today's numbers, whatever the git ref")


@dataclass(frozen=True)
class References:
    """What there is to compare with."""

    committed: Baseline | None  # the file as it lies there; None: no such file
    fork: Baseline | None = None  # the file at the merge base, with --against
    notices: tuple[str, ...] = ()


def find_references(config: GateConfig, entries: tuple[ModelEntry, ...], request: Request) -> References:
    """Read the baseline, and with ``--against`` the one where the branch forked.

    Raises:
        BaselineError: it is unusable, or missing where something is to be compared with it.
    """
    committed = load_baseline(config.baseline)
    # An empty ref is what a script gives whose variable is not set: an unknown ref, not a run without one.
    if request.against is not None:
        content, commit = read_at_merge_base(config.baseline, request.against)
        if content is None:
            if committed is None:
                _require_ceilings(config, entries)
            notice = f"{config.baseline.name} does not exist at {commit}, where this branch forked: every model is new"
            return References(committed, {}, (notice,))
        remedy = f"mend the file on {request.against}, or leave --against out"
        return References(committed, parse_baseline(content, f"{config.baseline.name} at {commit}", remedy))
    if committed is None and request.ratchet:
        raise BaselineError(f"no baseline at {_shown(config)}, so there is nothing to ratchet", _MAKE)
    if committed is None and not request.update:
        _require_ceilings(config, entries)
    return References(committed)


_MAKE = "make one and commit it:  modelstat check --update"


def _require_ceilings(config: GateConfig, entries: tuple[ModelEntry, ...]) -> None:
    """Without a baseline only ceilings can be judged: refuse a run in which a limit would pass unjudged."""
    for entry in entries:
        rules = [*entry.rules.values(), *(rule for rules in entry.module_rules.values() for rule in rules.values())]
        ceilings = [limit for rule in rules for limit in rule.limits if isinstance(limit, Ceiling)]
        if not ceilings:
            raise BaselineError(
                f"no baseline at {_shown(config)} and no ceiling is configured, so nothing can be checked", _MAKE
            )
        if any(not rule.is_default and not isinstance(limit, Ceiling) for rule in rules for limit in rule.limits):
            raise BaselineError(f"no baseline at {_shown(config)}, and {entry.name} is limited relative to one", _MAKE)


def decide(
    config: GateConfig, entries: tuple[ModelEntry, ...], outcomes: Outcomes, references: References, request: Request
) -> Verdict:
    """The verdict on all measured models; nothing is written."""
    models = [_judge(config, entry, outcomes[entry.name], references, request) for entry in entries]
    if not request.names:
        present = references.committed if references.committed is not None else references.fork
        models += [gone_model(name) for name in sorted(_gone(config, present or {}))]
    return Verdict(
        tuple(models),
        baseline=_shown(config),
        config=config.path.name if config.path else "pyproject.toml",
        against=request.against,
        strict=request.strict,
        exit_zero=request.exit_zero,
        notices=(*references.notices, *spec_notices(outcomes)),
    )


def spec_notices(outcomes: Outcomes) -> tuple[str, ...]:
    """What is to be known about how the specs were resolved, each once; of models that failed as well."""
    carriers = [outcome.provenance if isinstance(outcome, Profile) else outcome for outcome in outcomes.values()]
    return tuple(dict.fromkeys(text for carrier in carriers for text in carrier.notices))


def _gone(config: GateConfig, entries: Baseline) -> set[str]:
    """The entries whose model was configured once; modules of tests and specs of a command line never were."""
    known = {model.name for model in config.models}
    return {
        name
        for name, entry in entries.items()
        if name not in known and not entry.is_live and ":" not in name and "/" not in name
    }


def _judge(
    config: GateConfig,
    entry: ModelEntry,
    outcome: Profile | ModelstatError,
    references: References,
    request: Request,
) -> ModelVerdict:
    if isinstance(outcome, ModelstatError):
        return failed_model(entry, outcome)
    committed, fork = references.committed or {}, references.fork or {}
    names = [_name_in(baseline, config, entry, outcome) for baseline in (committed, fork)]
    verdict = judge_model(
        entry, outcome, committed.get(names[0]), fork.get(names[1]), against=request.against is not None
    )
    former = next((name for name in names if name != entry.name), None)
    if former is not None:
        note = f"compared with the entry of {former}, another spelling of the same model"
        return replace(verdict, notes=(*verdict.notes, note))
    if State.NEW in verdict.states:
        entries = {**fork, **committed}
        gone = {name: entries[name] for name in _gone(config, entries)}
        return replace(verdict, renamed_from=twin(take_snapshot(entry, outcome), gone))
    return verdict


def _name_in(baseline: Baseline, config: GateConfig, entry: ModelEntry, profile: Profile) -> str:
    """What ``baseline`` calls the model."""
    configured = {model.name for model in config.models}
    specs = (entry.spec, profile.provenance.resolved)
    return name_in(baseline, entry.name, specs, configured, entry.directory)


def write(
    config: GateConfig,
    entries: tuple[ModelEntry, ...],
    outcomes: Outcomes,
    references: References,
    request: Request,
    ready: Callable[[Verdict], None] = lambda verdict: None,
) -> Verdict:
    """Write the measured numbers into the baseline; the verdict tells what changed and what is still over a limit.

    A model that could not be measured keeps its entry, and so does whatever another run wrote since ``references`` were
    read: measuring takes minutes.

    Args:
        config: the configuration.
        entries: what was measured.
        outcomes: what measuring gave.
        references: the baseline as it was before.
        request: what was asked for.
        ready: called with the verdict before anything is written; where it raises, nothing is.

    Raises:
        BaselineError: the file has become unusable meanwhile.
        OutputError: the file could not be written.
    """
    measured = [(entry, outcome) for entry in entries if isinstance(outcome := outcomes[entry.name], Profile)]
    taken = {entry.name: take_snapshot(entry, profile) for entry, profile in measured}
    found = references.committed or {}
    gone = set() if request.names else _gone(config, found)
    with sole_writer(config.baseline):
        stored = load_baseline(config.baseline) or {}
        dropped = {name for name in gone if stored.get(name) == found[name]}
        moved = {_name_in(stored, config, entry, profile): entry.name for entry, profile in measured}
        if request.update:
            moved |= _renamed(stored, taken, dropped)
        old = {moved.get(name, name): entry for name, entry in stored.items()}
        new = ratcheted(old, taken) if request.ratchet else updated(old, taken, dropped)
        before = decide(config, entries, outcomes, References(as_measured(old, taken)), request)
        after = decide(config, entries, outcomes, References(new), request)
        verdict = _settled(before, after, _update(stored, new, moved, dropped, differs(config.baseline, new)))
        ready(verdict)
        save_baseline(config.baseline, new)
    return verdict


def _renamed(stored: Baseline, taken: Baseline, dropped: set[str]) -> dict[str, str]:
    """The new name by the old one of models that are gone under one name and new, with equal numbers, under another."""
    gone = {name: stored[name] for name in dropped}
    found = {name: twin(now, gone) for name, now in taken.items() if name not in stored}
    return {former: name for name, former in found.items() if former is not None}


def _update(
    stored: Baseline, new: Baseline, moved: Mapping[str, str], dropped: Collection[str], changed: bool
) -> Update:
    former = {now: name for name, now in moved.items() if name in stored}
    old = {name: stored[former.get(name, name)] for name in new if former.get(name, name) in stored}
    written = tuple(name for name in sorted(new) if old.get(name) != new[name] or former.get(name, name) != name)
    respelled = {name for name in former.values() if name not in dropped}
    pruned = tuple(sorted({*stored} - {*new} - respelled))
    return Update(written, pruned, changed, migrations(old, new, former))


def _settled(before: Verdict, after: Verdict, update: Update) -> Verdict:
    """The numbers of ``before`` with the states of ``after``: what changed, and what an update cannot mend."""
    differences = {model.name: model for model in before.models}
    models = []
    for model in after.models:
        old = differences[model.name]
        # Before the update a stale model had no checks, and a new one had nothing to differ from.
        numbers = {check.label: check.baseline for check in old.checks}
        checks = tuple(replace(check, baseline=numbers.get(check.label)) for check in model.checks)
        models.append(replace(model, checks=checks, explanation=old.explanation, notes=old.notes))
    return replace(after, models=tuple(models), update=update)


def _shown(config: GateConfig) -> str:
    """The baseline as messages call it: relative to the configuration where it lies below it."""
    root = config.path.parent if config.path else config.baseline.parent
    try:
        return config.baseline.resolve().relative_to(root.resolve()).as_posix()
    except ValueError:
        return str(config.baseline)
