"""Down the placement ladder until a rung holds: meta, meta with values, stated assumptions, or for real."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from torchstat_cli.calculators.assemble import assemble
from torchstat_cli.capture.dispatch.memo import Memo, shared_memo
from torchstat_cli.capture.run import RunOptions, record_run
from torchstat_cli.capture.values.known import ValueUnknownError
from torchstat_cli.errors import ForwardError, ModelError, PlacementError, StrictError, TrainingError
from torchstat_cli.foreign_text import text_of
from torchstat_cli.loading import Inputs, batch_hint, memory_limit
from torchstat_cli.loading.lazy import initialised
from torchstat_cli.records import Profile, Recording
from torchstat_cli.tasks.provenance import run_provenance
from torchstat_cli.tasks.rungs import Origin, Rung
from torchstat_cli.tasks.settings import Settings
from torchstat_cli.torch_access.interrupts import held_back, let_through
from torchstat_cli.torch_access.process import without_collection

RealRung = Callable[[int], Rung]
"""Build the rung with real tensors; gets the bytes that parameters and buffers may take."""


def descend(
    rungs: Iterator[Rung], real_rung: RealRung | None, settings: Settings, origin: Origin
) -> tuple[Profile, tuple[str, ...]]:
    """The profile by the first rung that holds.

    Where values are missing on meta, they are assumed; and where the assumed run says that a real one fits, that is
    made instead, because it is exact.
    """
    rung, failure = None, None
    for rung in rungs:
        try:
            return _attempt(rung, settings, origin), rung.notes
        except (ValueUnknownError, ForwardError, TrainingError) as error:
            if not rung.on_meta or not _only_meta_explains(error):
                raise _with_input_hint(error, rung.inputs) from error.__cause__
            failure = error
    assert rung is not None  # a ladder has at least one rung
    assert failure is not None
    note = f"not run on meta alone: {failure.message}"
    assumed = _assumed(rung, settings, origin)
    if real_rung is not None:
        room = memory_limit() - (assumed.total.memory if assumed is not None else 0)
        try:
            real = real_rung(room)
            return _attempt(real, settings, origin), (note, *real.notes)
        except (ForwardError, PlacementError) as error:
            if assumed is None:
                raise _with_reason(error, failure) from error.__cause__
            note = f"{note}; and not run for real: {error.message}"
    if assumed is None:
        raise PlacementError(failure.message, "run it for real: --device cpu") from failure
    if settings.strict:
        _refuse_assumptions(assumed)
    return assumed, (note, *rung.notes)


def _assumed(rung: Rung, settings: Settings, origin: Origin) -> Profile | None:
    """The profile with unknown values answered by stated rules; None where that does not help either."""
    try:
        return _attempt(rung, settings, origin, assume=True)
    except (ValueUnknownError, ForwardError, TrainingError):
        return None


def _with_reason(error: ForwardError | PlacementError, failure: Exception) -> Exception:
    if isinstance(error, PlacementError):
        return PlacementError(f"{error.message}; and it cannot run without memory: {failure}", error.hint)
    return error


def _attempt(rung: Rung, settings: Settings, origin: Origin, *, assume: bool = False) -> Profile:
    with held_back(), without_collection(), let_through():
        return _profile(rung, _record(rung, settings, assume=assume), settings, origin)


def _record(rung: Rung, settings: Settings, *, assume: bool) -> Recording:
    options = RunOptions(
        on_meta=rung.on_meta,
        train_mode=settings.mode == "train",
        assume=assume,
        memo=shared_memo if settings.memo else Memo(skip_kernels=False),
        memory=settings.memory,
        attention=settings.attention,
        training=settings.training,
    )
    model = initialised(rung.model, rung.inputs, on_meta=rung.on_meta)
    run = partial(record_run, model, rung.inputs.args, rung.inputs.kwargs, settings.registry.knows)
    try:
        return run(options)
    except ForwardError as error:
        reason = "" if error.__cause__ is None else text_of(error.__cause__)
        if options.training is not None or "does not require grad" not in reason:
            raise
        return run(replace(options, gradients=True))  # the model differentiates in its forward pass


def _profile(rung: Rung, recording: Recording, settings: Settings, origin: Origin) -> Profile:
    profile = assemble(recording, run_provenance(rung, recording, settings, origin), settings.registry)
    if settings.strict and profile.unknown:
        names = ", ".join(f"{unknown.op} ({unknown.calls} calls)" for unknown in profile.unknown)
        raise StrictError(
            f"no formula for {names}, so the totals are only lower bounds",
            "register one with @torchstat_cli.formula, or leave --strict out",
        )
    return profile


def _refuse_assumptions(profile: Profile) -> None:
    raise StrictError(
        f"the numbers rest on assumptions: {'; '.join(profile.provenance.assumptions)}",
        "run for real with --device cpu, or leave --strict out",
    )


def _only_meta_explains(error: Exception) -> bool:
    """Whether a run with real tensors may succeed where this one failed."""
    if isinstance(error, ValueUnknownError):
        return True
    cause = error.__cause__
    text = "" if cause is None else text_of(cause).lower()
    return isinstance(cause, NotImplementedError) or any(
        sign in text
        for sign in ("meta tensor", "meta device", "device meta", "on meta", "'meta'", "same device", "data-dependent")
    )


def _with_input_hint(error: ModelError, inputs: Inputs) -> ModelError:
    if isinstance(error, ForwardError) and error.hint is None:
        hint = batch_hint(inputs) or "give inputs that fit with --input, or see the whole traceback with --debug"
        return ForwardError(error.message, hint, path=error.path)
    return error
