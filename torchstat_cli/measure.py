"""One model, one dummy run, one profile: down the placement ladder until a rung holds.

Rungs for a spec: built and run on meta; built for real except its parameters, so that small tables keep their values,
and run on meta; built and run on the CPU, if it fits; run on meta with stated assumptions. A live model runs on meta
twins of its tensors, then where it lies.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import torch
from torch import nn

import torchstat_cli
from torchstat_cli.calculators import Registry
from torchstat_cli.calculators.assemble import assemble
from torchstat_cli.capture.guard import without_collection
from torchstat_cli.capture.leaves import unwrap
from torchstat_cli.capture.memo import Memo, shared_memo
from torchstat_cli.capture.run import RunOptions, record_run
from torchstat_cli.capture.timing import time_modules
from torchstat_cli.capture.training import TrainingRun
from torchstat_cli.capture.trees import tensors_in
from torchstat_cli.capture.values import ValueUnknownError
from torchstat_cli.errors import (
    BuildError,
    ForwardError,
    InputError,
    ModelError,
    PlacementError,
    StrictError,
    TrainingError,
    UsageError,
)
from torchstat_cli.loading import (
    Inputs,
    InputSpec,
    ModelSource,
    Placed,
    batch_hint,
    default_inputs,
    inputs_on,
    make_inputs,
    memory_limit,
    place,
    place_meta_parameters,
    place_on_cpu,
)
from torchstat_cli.loading.lazy import initialised
from torchstat_cli.operators import operator_registry
from torchstat_cli.records import InputRecord, Profile, Provenance, Recording

Mode = Literal["eval", "train"]


@dataclass(frozen=True)
class Settings:
    """How to run; what is run comes separately."""

    device: str = "auto"  # "auto", "meta", or a device as torch spells it
    dtype: torch.dtype | None = None  # of floating parameters, buffers and generated inputs; None leaves them
    mode: Mode = "eval"
    strict: bool = False  # unknown operators and assumptions are errors
    time: bool = False  # measure the wall time of each module on a real device as well
    memo: bool = True  # answer repeated operators from memory
    memory: bool = False  # simulate which tensors live when
    attention: str = "auto"  # backend of scaled dot-product attention
    training: TrainingRun | None = None  # profile a training step; wants the mode "train"
    registry: Registry = field(default_factory=operator_registry)

    def __post_init__(self) -> None:
        if self.mode not in ("eval", "train"):
            raise UsageError(f"there is no mode {self.mode!r}", "use eval or train")


@dataclass(frozen=True)
class Rung:
    """One way to run the model."""

    model: nn.Module
    inputs: Inputs
    on_meta: bool
    placement: str
    notes: tuple[str, ...] = ()


Origin = tuple[str | None, str, str | None]
"""The spec as written, what it resolved to, and the "file:line" of the factory."""

InputsFor = Callable[[nn.Module, str], Inputs]
"""The inputs of a model on a device."""


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
        dtype = settings.dtype or _floating_dtype(model)
        if given is None:
            inputs = default_inputs(source, device=device, dtype=dtype)
            if inputs is None:
                raise _missing_inputs(source.spec, model)
            return inputs
        if isinstance(given, tuple):
            return make_inputs(given, device=device, dtype=dtype)
        return inputs_on(given, device=device)

    def real_rung(room: int) -> Rung:
        return _rung(place_on_cpu(source, dtype=settings.dtype, limit_bytes=room), inputs_for)

    profile, notes = _descend(
        _spec_rungs(source, inputs_for, settings),
        real_rung if settings.device == "auto" else None,
        settings,
        (source.spec, source.resolved, source.source),
    )
    if settings.time:
        device = "cpu" if settings.device in ("auto", "meta") else settings.device
        rung = _rung(place(source, device, dtype=settings.dtype), inputs_for)
        profile = _with_durations(profile, rung, settings)
    return profile, (*source.notices, *notes)


def profile_live(
    model: nn.Module, given: Inputs | tuple[InputSpec, ...], settings: Settings
) -> tuple[Profile, tuple[str, ...]]:
    """The profile of a live model, which stays where it is and as it is, and notes on how it was reached.

    Raises:
        ModelstatError: see the tree; the model cannot be run.
    """
    inner, note = unwrap(model)
    home = _home(inner)

    def real_rung(room: int) -> Rung:
        if home.type == "cpu" and room < 0:
            raise PlacementError(
                "the run would need more memory than may be used", "use device='cpu' to run it all the same"
            )
        return Rung(inner, _live_inputs(inner, given, str(home)), False, str(home))

    profile, notes = _descend(
        _live_rungs(inner, given, settings),
        real_rung if settings.device == "auto" and home.type != "meta" else None,
        settings,
        (None, f"{type(inner).__module__}:{type(inner).__qualname__}", _source_line(type(inner))),
    )
    if settings.time:
        if home.type == "meta":
            raise UsageError("a model on meta cannot be timed", "build it on the device that counts")
        profile = _with_durations(profile, real_rung(memory_limit()), settings)
    return profile, ((note, *notes) if note else notes)


def _spec_rungs(source: ModelSource, inputs_for: InputsFor, settings: Settings) -> Iterator[Rung]:
    placed = place(source, settings.device, dtype=settings.dtype)
    yield _rung(placed, inputs_for)
    if placed.placement.startswith("meta") and any(buffer.is_meta for buffer in placed.model.buffers()):
        try:
            with_values = place_meta_parameters(source, dtype=settings.dtype)
        except BuildError:
            return  # construction itself computes with parameters; the first rung's model stands
        yield _rung(with_values, inputs_for)


def _rung(placed: Placed, inputs_for: InputsFor) -> Rung:
    model, note = unwrap(placed.model)
    on_meta = placed.placement.startswith("meta")
    inputs = inputs_for(model, "meta" if on_meta else placed.placement)
    placement = "meta+values" if placed.placement == "meta-parameters" else placed.placement
    return Rung(model, inputs, on_meta, placement, (*placed.notes, *((note,) if note else ())))


def _live_rungs(model: nn.Module, given: Inputs | tuple[InputSpec, ...], settings: Settings) -> Iterator[Rung]:
    home = _home(model)
    try:
        wanted = home if settings.device == "auto" else torch.device(settings.device)
    except RuntimeError as error:
        raise UsageError(f"torch knows no device {settings.device!r}", "use auto, meta, cpu, cuda or mps") from error
    if settings.device in ("auto", "meta"):
        yield Rung(model, _live_inputs(model, given, "meta"), True, "meta")
    elif wanted.type != home.type:
        raise UsageError(
            f"the model lies on {home}, not on {settings.device}", f"move it first, or use device='auto' or '{home}'"
        )
    else:
        yield Rung(model, _live_inputs(model, given, str(home)), False, str(home))


def _live_inputs(model: nn.Module, given: Inputs | tuple[InputSpec, ...], device: str) -> Inputs:
    if isinstance(given, tuple):
        return make_inputs(given, device=device, dtype=_floating_dtype(model))
    return given if device == "meta" else inputs_on(given, device=device)


RealRung = Callable[[int], Rung]
"""Build the rung with real tensors; gets the bytes that parameters and buffers may take."""


def _descend(
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


@without_collection()
def _attempt(rung: Rung, settings: Settings, origin: Origin, *, assume: bool = False) -> Profile:
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
        if options.training is not None or "does not require grad" not in str(error.__cause__):
            raise
        return run(replace(options, gradients=True))  # the model differentiates in its forward pass


def _with_durations(profile: Profile, rung: Rung, settings: Settings) -> Profile:
    """The same profile with each row's own wall time; they sum to the total."""
    training = settings.mode == "train"
    seconds = time_modules(rung.model, rung.inputs.args, rung.inputs.kwargs, training=training)
    rows = tuple(replace(row, duration_s=seconds.get(row.path, 0.0)) for row in profile.rows)
    # A container without a row of its own takes time too, in Python between its children: it gets a row.
    known = {row.path for row in rows}
    late = (row for row in profile.containers if row.path in seconds)
    rows = (*rows, *(replace(row, duration_s=seconds[row.path]) for row in late if row.path not in known))
    return replace(
        profile,
        rows=rows,
        containers=tuple(row for row in profile.containers if row.path not in seconds),
        total=replace(profile.total, duration_s=sum(row.duration_s or 0.0 for row in rows)),
    )


def _only_meta_explains(error: Exception) -> bool:
    """Whether a run with real tensors may succeed where this one failed."""
    if isinstance(error, ValueUnknownError):
        return True
    cause = error.__cause__
    text = str(cause).lower()
    return isinstance(cause, NotImplementedError) or any(
        sign in text
        for sign in ("meta tensor", "meta device", "device meta", "on meta", "'meta'", "same device", "data-dependent")
    )


def _with_input_hint(error: ModelError, inputs: Inputs) -> ModelError:
    if isinstance(error, ForwardError) and error.hint is None:
        hint = batch_hint(inputs) or "give inputs that fit with --input, or see the whole traceback with --debug"
        return ForwardError(error.message, hint, path=error.path)
    return error


def live_provenance(model: nn.Module, recording: Recording) -> Provenance:
    """Where a profile of a user's own loop comes from; its inputs are those of the model's first call."""
    root = recording.modules[0]
    return Provenance(
        spec=None,
        resolved=f"{type(model).__module__}:{type(model).__qualname__}",
        class_name=type(model).__name__,
        inputs=tuple(InputRecord(None, shape, root.dtype or "") for shape in root.input_shape),
        placement=str(_home(model)),
        mode="train" if model.training else "eval",
        assumptions=recording.assumptions,
        torch=torch.__version__.partition("+")[0],
        version=torchstat_cli.__version__,
        source=_source_line(type(model)),
    )


def _profile(rung: Rung, recording: Recording, settings: Settings, origin: Origin) -> Profile:
    spec, resolved, source = origin
    placement = "meta+values" if recording.carried_values and rung.placement == "meta" else rung.placement
    provenance = Provenance(
        spec=spec,
        resolved=resolved,
        class_name=type(rung.model).__name__,
        inputs=_input_records(rung.inputs),
        placement=placement,
        mode=settings.mode,
        assumptions=recording.assumptions,
        torch=torch.__version__.partition("+")[0],
        version=torchstat_cli.__version__,
        source=source,
        attention=recording.attention,
    )
    profile = assemble(recording, provenance, settings.registry)
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


def _input_records(inputs: Inputs) -> tuple[InputRecord, ...]:
    def record(name: str | None, value: Any) -> list[InputRecord]:
        return [
            InputRecord(name, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
            for tensor in tensors_in(value)
        ]

    named = [*((None, value) for value in inputs.args), *inputs.kwargs.items()]
    return tuple(entry for name, value in named for entry in record(name, value))


def _missing_inputs(spec: str, model: nn.Module) -> InputError:
    parameters = [p for p in inspect.signature(model.forward).parameters.values() if p.default is p.empty]
    wanted = ", ".join(p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
    return InputError(
        f"{spec} does not say what input it takes; its forward wants {wanted or 'something'}",
        "give one: --input 1,3,224,224 (or --inputs module:function)",
    )


def _floating_dtype(model: nn.Module) -> torch.dtype:
    """The dtype of the first floating parameter or buffer, torch's default without one."""
    tensors = (*model.parameters(), *model.buffers())
    return next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), torch.get_default_dtype())


def _home(model: nn.Module) -> torch.device:
    tensors = (*model.parameters(), *model.buffers())
    return tensors[0].device if tensors else torch.device("cpu")


def _source_line(kind: type) -> str | None:
    for name in ("__init__", "forward"):
        code = getattr(vars(kind).get(name), "__code__", None)
        if code is not None:
            return f"{code.co_filename}:{code.co_firstlineno}"
    return None
