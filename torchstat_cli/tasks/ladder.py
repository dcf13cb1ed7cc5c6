"""Down the placement ladder until a rung holds: meta, meta with values, stated assumptions, or for real."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from torchstat_cli.errors import ForwardError, ModelError, PlacementError, TrainingError
from torchstat_cli.foreign_text import text_of
from torchstat_cli.loading import Placed, device_remedy, unasked_limit
from torchstat_cli.tasks.rungs import Rung

Result = TypeVar("Result")

# What torch says where code asks a meta tensor for its values, or mixes it with a real one.
_SIGNS_OF_META = ("meta tensor", "meta device", "device meta", "on meta", "'meta'", "same device", "data-dependent")

# What torch and Python say of inputs that do not fit the model, on any device.
_SIGNS_OF_INPUTS = (
    *("shape", "size", "dim", "channels", "mat1 and mat2", "must match", "broadcast", "expanded"),
    *("positional argument", "keyword argument", "out of range", "values to unpack", "d input", "d (batched)"),
)


class Ladder(Protocol):
    """The placements of one model; ``rungs.py`` has that of a spec and that of a live model."""

    def placements(self) -> Iterator[Placed]:
        """The model in each placement that is tried one after another, as long as values are missing.

        Raises:
            ModelstatError: the model cannot be built, or not where it is wanted.
        """

    def for_real(self, room: int) -> Placed | None:
        """The model with real tensors, for which ``room`` bytes are left; None where that is not wanted.

        Raises:
            ModelstatError: it cannot be built, or does not fit.
        """

    @property
    def remedy(self) -> str:
        """What helps where values are missing and no run for real was made."""

    def rung(self, placed: Placed) -> Rung:
        """The model in one of these placements, ready to run.

        Raises:
            ModelstatError: its inputs cannot be made, it is sharded, or its lazy modules cannot be initialized.
        """


@dataclass(frozen=True)
class Assumed(Generic[Result]):
    """A result that rests on stated assumptions."""

    result: Result
    nbytes: int  # that a run for real would take beside parameters and buffers


class Attempt(ABC, Generic[Result]):
    """What is done with a model that is ready to run."""

    @abstractmethod
    def run(self, rung: Rung) -> Result:
        """Do it, without assumptions.

        Raises:
            ModelstatError: it cannot be done on this rung.
        """

    def needs_values(self, error: ModelError) -> bool:
        """Whether real tensors may help where ``run``, or making the rung, raised on meta."""
        cause = error.__cause__
        text = "" if cause is None else text_of(cause).lower()
        return isinstance(error, (ForwardError, TrainingError)) and (
            isinstance(cause, NotImplementedError) or any(sign in text for sign in _SIGNS_OF_META)
        )

    def may_differ(self, error: ModelError) -> bool:
        """Whether the model may run on real tensors although it failed on meta: its inputs are not what is wrong."""
        cause = error.__cause__
        text = "" if cause is None else text_of(cause).lower()
        if not isinstance(error, (ForwardError, TrainingError)) or device_remedy(cause, "forward") is not None:
            return False
        return not any(sign in text for sign in _SIGNS_OF_INPUTS)

    def assume(self, rung: Rung) -> Assumed[Result] | None:
        """Do it with unknown values answered by stated rules; None where that does not help, or is not wanted."""
        return None


@dataclass(frozen=True)
class Held(Generic[Result]):
    """What came of the rung that held."""

    result: Result
    rung: Rung
    notes: tuple[str, ...]  # how it was reached
    assumed: bool = False  # it rests on stated assumptions


def descend(ladder: Ladder, attempt: Attempt[Result], *, limit: int | None = None) -> Held[Result]:
    """The result on the first rung that holds.

    Where values are missing on meta, they are assumed; and where the assumed run says that a real one fits, that is
    made instead, because it is exact. Where a model fails on meta for another reason, it is run for real.

    Args:
        ladder: the placements.
        attempt: what is done.
        limit: most bytes that a run for real may take where nobody asked for one; None is :func:`unasked_limit`.

    Raises:
        ModelstatError: the model cannot be built, or the attempt fails on every rung.
    """
    rung, failure = None, None
    for placed in ladder.placements():
        rung = None
        try:
            rung = ladder.rung(placed)
            return Held(attempt.run(rung), rung, rung.notes)
        except ModelError as error:
            if not placed.on_meta:
                raise
            if not attempt.needs_values(error):
                if not attempt.may_differ(error):
                    raise
                return _for_real(ladder, attempt, unasked_limit() if limit is None else limit, error)
            failure = error
    assert failure is not None  # a ladder has at least one rung
    limit = unasked_limit() if limit is None else limit
    note = f"not run on meta alone: {failure.message}"
    assumed = attempt.assume(rung) if rung is not None else None
    try:
        placed_for_real = ladder.for_real(limit - (assumed.nbytes if assumed is not None else 0))
        if placed_for_real is not None:
            real = ladder.rung(placed_for_real)
            return Held(attempt.run(real), real, (note, *real.notes))
    except (ForwardError, PlacementError) as error:
        if assumed is None:
            raise _with_reason(error, failure) from error.__cause__
        note = f"{note}; and not run for real: {error.message}"
    if rung is None or assumed is None:
        raise PlacementError(failure.message, ladder.remedy) from failure
    return Held(assumed.result, rung, (note, *rung.notes), assumed=True)


def _for_real(ladder: Ladder, attempt: Attempt[Result], limit: int, failure: ModelError) -> Held[Result]:
    """The result of a run for real, where ``failure`` came of the one on meta and does not ask for values.

    Raises:
        ModelError: the failure, where the model fails for real too.
    """
    try:
        placed = ladder.for_real(limit)
        if placed is None:
            raise failure
        rung = ladder.rung(placed)
        return Held(attempt.run(rung), rung, (f"not run on meta: {failure.message}", *rung.notes))
    except PlacementError as error:
        failure.hint = f"it may run for real: --device cpu ({error.message})"
        raise failure from failure.__cause__
    except (ForwardError, TrainingError):
        raise failure from failure.__cause__


def _with_reason(error: ForwardError | PlacementError, failure: ModelError) -> ModelError:
    if isinstance(error, PlacementError):
        return PlacementError(f"{error.message}; and it cannot run without memory: {failure.message}", error.hint)
    return error
