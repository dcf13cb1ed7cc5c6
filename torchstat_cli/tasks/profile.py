"""The profile of a spec, and of a live model."""

from __future__ import annotations

import inspect
from dataclasses import replace

from torch import nn

from torchstat_cli.capture.timing import time_modules
from torchstat_cli.errors import ForwardError, InputError, ModelstatError, PlacementError, UsageError
from torchstat_cli.foreign_text import named
from torchstat_cli.loading import (
    Inputs,
    InputSpec,
    ModelSource,
    announced,
    default_inputs,
    inputs_on,
    make_inputs,
    memory_limit,
    place,
    place_on_cpu,
)
from torchstat_cli.records import Profile
from torchstat_cli.tasks.ladder import descend
from torchstat_cli.tasks.provenance import source_line
from torchstat_cli.tasks.rungs import (
    Rung,
    as_rung,
    floating_dtype,
    live_inputs,
    live_rungs,
    spec_rungs,
)
from torchstat_cli.tasks.settings import Settings
from torchstat_cli.torch_access.wrappers import home_of, peeled, refuse_sharded


def profile_spec(
    source: ModelSource, given: Inputs | tuple[InputSpec, ...] | None, settings: Settings
) -> tuple[Profile, tuple[str, ...]]:
    """The profile of what a spec points at, and notes on how it was reached.

    Args:
        source: what to build.
        given: ready inputs, specs of dummy inputs, or None for the model's own example.
        settings: how to run.

    Raises:
        ModelstatError: see the tree; the model cannot be built, placed or run, or its inputs are missing.
    """

    def inputs_for(model: nn.Module, device: str) -> Inputs:
        dtype = settings.dtype or floating_dtype(model)
        if given is None:
            inputs = default_inputs(source, device=device, dtype=dtype)
            if inputs is None:
                raise _missing_inputs(source.spec, model)
            return inputs
        if isinstance(given, tuple):
            return make_inputs(given, device=device, dtype=dtype)
        return inputs_on(given, device=device)

    def real_rung(room: int) -> Rung:
        return as_rung(place_on_cpu(source, dtype=settings.dtype, limit_bytes=room), inputs_for)

    with announced(source.notices):
        profile, notes = descend(
            spec_rungs(source, inputs_for, settings),
            real_rung if settings.device == "auto" else None,
            settings,
            (source.spec, source.resolved, source.source),
        )
        if settings.time:
            device = "cpu" if settings.device in ("auto", "meta") else settings.device
            rung = as_rung(place(source, device, dtype=settings.dtype), inputs_for)
            profile = with_durations(profile, rung, settings)
    profile = replace(
        profile, provenance=replace(profile.provenance, notices=(*source.notices, *profile.provenance.notices))
    )
    return profile, (*source.notices, *notes)


def profile_live(
    model: nn.Module, given: Inputs | tuple[InputSpec, ...], settings: Settings
) -> tuple[Profile, tuple[str, ...]]:
    """The profile of a live model, which stays where it is and as it is, and notes on how it was reached.

    Raises:
        ModelstatError: see the tree; the model is spread over processes, or cannot be run.
    """
    refuse_sharded(model)
    inner, _, note = peeled(model)
    home = home_of(inner)

    def real_rung(room: int) -> Rung:
        if home.type == "cpu" and room < 0:
            raise PlacementError(
                "the run would need more memory than may be used", "use device='cpu' to run it all the same"
            )
        return Rung(inner, live_inputs(inner, given, str(home)), False, str(home))

    profile, notes = descend(
        live_rungs(inner, given, settings),
        real_rung if settings.device == "auto" and home.type != "meta" else None,
        settings,
        (None, f"{type(inner).__module__}:{type(inner).__qualname__}", source_line(type(inner))),
    )
    if settings.time:
        if home.type == "meta":
            raise UsageError("a model on meta cannot be timed", "build it on the device that counts")
        profile = with_durations(profile, real_rung(memory_limit()), settings)
    return profile, ((note, *notes) if note else notes)


def _missing_inputs(spec: str, model: nn.Module) -> InputError:
    parameters = [p for p in inspect.signature(model.forward).parameters.values() if p.default is p.empty]
    wanted = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if len(wanted) > 1:
        remedy = f"give each: {' '.join(f'--input {name}=SHAPE' for name in wanted)} (or --inputs module:function)"
    else:
        remedy = "give one: --input 1,3,224,224 (or --inputs module:function)"
    return InputError(
        f"{spec} does not say what input it takes; its forward wants {', '.join(wanted) or 'something'}", remedy
    )


def with_durations(profile: Profile, rung: Rung, settings: Settings) -> Profile:
    """The same profile with each row's own wall time; they sum to the total.

    Raises:
        ForwardError: the model does not run for real.
    """
    training = settings.mode == "train"
    try:
        seconds = time_modules(rung.model, rung.inputs.args, rung.inputs.kwargs, training=training)
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
