"""The profile of a spec, and of a live model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import nn

from torchstat_cli.capture.timing import time_modules
from torchstat_cli.errors import ForwardError, ModelstatError, SpecError, StrictError, UsageError
from torchstat_cli.foreign_text import named, shown
from torchstat_cli.loading import Given, Inputs, ModelSource, announced, find_model, place
from torchstat_cli.records import Profile
from torchstat_cli.tasks.ladder import Held, Ladder, descend
from torchstat_cli.tasks.measurement import Measurement
from torchstat_cli.tasks.rungs import LiveLadder, Rung, SpecLadder
from torchstat_cli.tasks.settings import Settings
from torchstat_cli.torch_access.process import same_random_numbers
from torchstat_cli.torch_access.wrappers import home_of, peeled, refuse_sharded


def measure(
    model: nn.Module | str,
    given: Given | None,
    settings: Settings,
    arguments: Mapping[str, Any] | None = None,
    *,
    online: bool = False,
    allow_pickle: bool = False,
) -> tuple[Profile, tuple[str, ...]]:
    """The profile of a model or of what a spec names, and notes on how it was reached.

    Args:
        model: a live module, or a spec.
        given: ready inputs, specs of dummy inputs, or None for the model's own example.
        settings: how to run.
        arguments: of the factory that a spec names.
        online: whether a hub may be asked.
        allow_pickle: whether a saved file may run the code that it names.

    Raises:
        ModelstatError: see the tree; the spec, the inputs or the model cannot be used.
    """
    if isinstance(model, str):
        with same_random_numbers():  # a module may be built when it is imported
            source = find_model(model, arguments, online=online, allow_pickle=allow_pickle)
        return profile_spec(source, given, settings)
    if not isinstance(model, nn.Module):
        raise no_module(model)
    return profile_live(model, Inputs((), {}) if given is None else given, settings)


def profile_spec(source: ModelSource, given: Given | None, settings: Settings) -> tuple[Profile, tuple[str, ...]]:
    """The profile of what a spec points at, and notes on how it was reached.

    Args:
        source: what to build.
        given: ready inputs, specs of dummy inputs, or None for the model's own example.
        settings: how to run.

    Raises:
        ModelstatError: see the tree; the model cannot be built, placed or run, or its inputs are missing.
    """
    return measure_spec(source, given, Measurement(settings))


def measure_spec(source: ModelSource, given: Given | None, measurement: Measurement) -> tuple[Profile, tuple[str, ...]]:
    """What a measurement gives of what a spec points at, and notes on how it was reached; see :func:`profile_spec`."""
    settings = measurement.settings
    ladder = SpecLadder(source, given, settings.device, settings.dtype, settings.limit)
    with announced(source.notices), same_random_numbers():
        held = _descended(ladder, measurement)
        profile = held.result
        if settings.time:
            device = "cpu" if settings.device in ("auto", "meta") else settings.device
            timed = ladder.rung(place(source, device, dtype=settings.dtype))
            profile = with_durations(profile, timed, settings)
    notices = (*source.notices, *profile.provenance.notices)
    profile = replace(profile, provenance=replace(profile.provenance, notices=notices))
    return profile, (*source.notices, *held.notes)


def profile_live(model: nn.Module, given: Given, settings: Settings) -> tuple[Profile, tuple[str, ...]]:
    """The profile of a live model, which stays where it is and as it is, and notes on how it was reached.

    Raises:
        ModelstatError: see the tree; the model is spread over processes, or cannot be run.
    """
    return measure_live(model, given, Measurement(settings))


def measure_live(model: nn.Module, given: Given, measurement: Measurement) -> tuple[Profile, tuple[str, ...]]:
    """What a measurement gives of a live model, and notes on how it was reached; see :func:`profile_live`."""
    settings = measurement.settings
    refuse_sharded(model)
    inner, _, note = peeled(model)
    ladder = LiveLadder(inner, given, settings.device)
    held = _descended(ladder, measurement)
    profile = held.result
    if settings.time:
        if home_of(inner).type == "meta":
            raise UsageError("a model on meta cannot be timed", "build it on the device that counts")
        profile = with_durations(profile, ladder.rung(ladder.at_home()), settings)
    return profile, ((note, *held.notes) if note else held.notes)


def _descended(ladder: Ladder, measurement: Measurement) -> Held[Profile]:
    """The profile of the rung that holds.

    Raises:
        StrictError: it rests on assumptions, and the settings are strict.
    """
    held = descend(ladder, measurement, limit=measurement.settings.limit)
    if held.assumed and measurement.settings.strict:
        raise StrictError(
            f"the numbers rest on assumptions: {'; '.join(held.result.provenance.assumptions)}",
            "run for real with --device cpu, or leave --strict out",
        )
    return held


def no_module(model: object) -> SpecError:
    """What is said of something that is no model."""
    if type(model).__name__ == "ExportedProgram":
        return SpecError(
            "an exported program has no modules of its own", "give what its module() returns, or the model it came from"
        )
    return SpecError(
        f"{shown(model)} is neither a module nor a model spec",
        "give an nn.Module, or a spec such as 'package.module:factory'",
    )


def with_durations(profile: Profile, rung: Rung, settings: Settings) -> Profile:
    """The same profile with each row's own wall time; they sum to the total.

    Raises:
        ForwardError: the model does not run for real.
    """
    training = settings.mode == "train"
    try:
        seconds = time_modules(rung.model, rung.call.args, rung.call.kwargs, training=training)
    except ModelstatError:
        raise
    except Exception as error:  # the user's code ran, and may raise anything
        raise ForwardError(f"the run that is timed failed: {named(error)}", "leave --time out") from error
    rows = tuple(row._replace(duration_s=seconds.get(row.path, 0.0)) for row in profile.rows)
    # A container without a row of its own takes time too, in Python between its children: it gets a row.
    known = {row.path for row in rows}
    late = (row for row in profile.containers if row.path in seconds)
    rows = (*rows, *(row._replace(duration_s=seconds[row.path]) for row in late if row.path not in known))
    return replace(
        profile,
        rows=rows,
        containers=tuple(row for row in profile.containers if row.path not in seconds),
        total=replace(profile.total, duration_s=sum(row.duration_s or 0.0 for row in rows)),
    )
