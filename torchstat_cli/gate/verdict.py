"""The frozen records of a decision: one state per model, one check per number, exit code and all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from torchstat_cli.gate.explain import Explanation
from torchstat_cli.gate.limits import Limit
from torchstat_cli.records import UnknownOperator


class State(str, Enum):
    """What was decided about a model, or about one of its numbers."""

    PASS = "PASS"  # every limit holds
    BETTER = "BETTER"  # holds, and a number is smaller
    FAIL = "FAIL"  # a limit is broken
    NEW = "NEW"  # no baseline entry; ceilings are still judged
    GONE = "GONE"  # a baseline entry without a configured model
    INHERITED = "INHERITED"  # the ceiling was broken before this branch, which made it no worse
    STALE = "STALE"  # the baseline is not comparable
    PARTIAL = "PARTIAL"  # an operator has no rule: totals are lower bounds
    ERROR = "ERROR"  # the model could not be measured

    def __str__(self) -> str:
        return self.value


UNDECIDED = frozenset({State.STALE, State.ERROR})
STRICT = frozenset({State.BETTER, State.NEW, State.GONE, State.INHERITED, State.PARTIAL})
"""States that fail only under ``--strict``."""


@dataclass(frozen=True, slots=True)
class Check:
    """One number of one model, judged."""

    metric: str
    state: State  # PASS, BETTER, FAIL, NEW or INHERITED
    current: int
    baseline: int | None  # None where there is nothing comparable
    limits: tuple[Limit, ...] = ()
    broken: tuple[Limit, ...] = ()  # those among ``limits`` that do not hold
    module: str | None = None  # glob, None for the whole model
    shown: bool = True  # False: only with more detail
    accepted_from: int | None = None  # where the branch forked, if its own update of the baseline accepted growth since

    @property
    def before(self) -> int | None:
        """What a reader wants to compare with: the number at the fork where growth was accepted, else the baseline."""
        return self.baseline if self.accepted_from is None else self.accepted_from

    @property
    def growth(self) -> int:
        """Growth since ``before``; 0 without it."""
        return self.current - self.before if self.before is not None else 0

    @property
    def delta(self) -> int:
        """Growth since the baseline; 0 without one."""
        return self.current - self.baseline if self.baseline is not None else 0

    @property
    def label(self) -> str:
        """``flops``, or ``encoder.* flops`` for a guarded module."""
        return f"{self.module} {self.metric}" if self.module else self.metric


@dataclass(frozen=True, slots=True)
class ModelVerdict:
    """What was decided about one model, and all that a report says about it."""

    name: str
    state: State
    checks: tuple[Check, ...] = ()
    explanation: Explanation | None = None
    spec: str = ""
    source: str | None = None  # "file:line" of the factory, where it is a file of the project
    section: str | None = None  # where its limits are configured
    message: str | None = None  # the user's own words, for failures
    problem: str | None = None  # why it is STALE or ERROR, one sentence
    remedy: str | None = None  # what mends the problem
    notes: tuple[str, ...] = ()  # "torch 2.12 -> 2.13 since the baseline: check dispatch first"
    unknown: tuple[UnknownOperator, ...] = ()
    renamed_from: str | None = None  # a baseline entry with equal numbers whose model is no longer configured

    @property
    def shown(self) -> tuple[Check, ...]:
        """The numbers that a normal report prints."""
        return tuple(check for check in self.checks if check.shown)

    @property
    def accepted(self) -> tuple[Check, ...]:
        """The numbers whose growth the branch itself accepted, of those that a normal report prints."""
        return tuple(check for check in self.shown if check.accepted_from is not None)

    @property
    def states(self) -> frozenset[State]:
        """Everything that is true of the model: a model over its limit may be partial too."""
        partial = {State.PARTIAL} if self.unknown else set()
        return frozenset({self.state, *partial, *(check.state for check in self.shown)})


@dataclass(frozen=True, slots=True)
class Update:
    """What ``--update`` or ``--ratchet`` wrote."""

    written: tuple[str, ...]  # models whose entry changed
    pruned: tuple[str, ...]  # entries without a model that were dropped
    changed: bool  # whether the file has other bytes now
    migrated: tuple[str, ...] = ()  # "tiny: the baseline was counted with rules 1, this run with 2"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The whole run."""

    models: tuple[ModelVerdict, ...]
    baseline: str  # file, as messages call it
    config: str = "pyproject.toml"  # file with the limits
    against: str | None = None  # the git ref
    strict: bool = False
    exit_zero: bool = False
    notices: tuple[str, ...] = ()
    update: Update | None = None
    update_command: str = "modelstat check {name} --update"  # what accepts a model's numbers

    def accept(self, name: str = "") -> str:
        """The command that makes the numbers of one model its baseline; without a name, of all."""
        return self.update_command.replace("{name}", name).replace("  ", " ")

    def having(self, *states: State) -> tuple[ModelVerdict, ...]:
        """The models of which any of ``states`` is true."""
        return tuple(model for model in self.models if model.states & frozenset(states))

    @property
    def state(self) -> State:
        """ERROR where something could not be decided, else FAIL where something is broken, else PASS."""
        if any(model.state in UNDECIDED for model in self.models):
            return State.ERROR
        return State.FAIL if any(map(self.fails, self.models)) else State.PASS

    @property
    def exit_code(self) -> int:
        """0 nothing broken, 1 a limit is broken, 2 could not decide; 2 wins, and ``exit_zero`` forgives only 1."""
        if self.state is State.ERROR:
            return 2
        return int(self.state is State.FAIL and not self.exit_zero)

    def fails(self, model: ModelVerdict) -> bool:
        """Whether the model alone would make the run fail."""
        failing = {State.FAIL, *STRICT} if self.strict else {State.FAIL}
        return bool(model.states & failing)

    @property
    def failing(self) -> tuple[ModelVerdict, ...]:
        """The models that break the run."""
        return tuple(filter(self.fails, self.models))


def worst(states: Iterable[State]) -> State:
    """The state of a model whose numbers have ``states``: the one that a reader must hear first."""
    order = (State.ERROR, State.STALE, State.FAIL, State.INHERITED, State.NEW, State.GONE, State.PARTIAL, State.BETTER)
    present = frozenset(states)
    return next((state for state in order if state in present), State.PASS)
