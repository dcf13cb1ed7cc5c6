"""Fit a model to a memory size: make its inputs larger along chosen axes, and simulate each size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from torchstat_cli.errors import PlacementError, UsageError
from torchstat_cli.loading import InputSpec, ModelSource, announced, find_model
from torchstat_cli.records import FitPoint, FitResult, Profile
from torchstat_cli.tasks.axes import Axis, batch_axes, named_axes, resized, shapes_in_words, spec_of
from torchstat_cli.tasks.profile import profile_spec
from torchstat_cli.tasks.search import LIMIT, search_largest
from torchstat_cli.tasks.settings import Settings
from torchstat_cli.torch_access.process import same_random_numbers


@dataclass(frozen=True)
class FitRequest:
    """What to search."""

    budget: int  # bytes
    vary: tuple[str, ...] = ()  # "input_ids:1", "1"; nothing is axis 0 of every input
    limit: int = LIMIT
    device: str | None = None  # whose size the budget is
    source: str | None = None  # where that size is from


def fit_spec(
    model: str,
    given: tuple[InputSpec, ...],
    settings: Settings,
    request: FitRequest,
    arguments: Mapping[str, Any] | None = None,
    *,
    online: bool = False,
    allow_pickle: bool = False,
    tried: Callable[[int], None] = lambda size: None,
) -> tuple[FitResult, tuple[str, ...]]:
    """The largest size of the varied axes whose simulated peak fits, and notes on how it was reached.

    Args:
        model: a spec.
        given: input specs; none takes the model's own example, as far as it consists of plain tensors.
        settings: how to run; watches memory.
        request: budget and axes.
        arguments: of the factory.
        online: whether a hub may be asked.
        allow_pickle: whether a saved file may run the code that it names.
        tried: called with each size before it is simulated.

    Raises:
        UsageError: a device to run on for real, or an axis that does not exist.
        ModelstatError: see the tree; the model cannot be run at all.
    """
    if settings.device not in ("auto", "meta"):
        raise UsageError(
            f"fit only simulates, and --device {settings.device} would run every size for real",
            f"leave it out; one size is measured by  modelstat {model} --memory --device {settings.device}",
        )
    # On meta alone: a size that is tried may be many times larger than the memory here.
    simulated = replace(settings, device="meta")
    with same_random_numbers():  # a module may be built when it is imported
        source = find_model(model, arguments, online=online, allow_pickle=allow_pickle)
    with _simulation_only():
        first, notes = profile_spec(source, given or None, simulated)
    assumed = dict.fromkeys(first.provenance.assumptions)
    with announced(source.notices), _simulation_only():
        result = _fitted(source, first, given, simulated, request, tried, assumed)
    if first.precision is not None and first.precision.caution:
        notes = (*notes, "; ".join(first.precision.caution))
    return result, (*notes, *(f"assumed: {words}" for words in assumed))


@contextmanager
def _simulation_only() -> Iterator[None]:
    """A model that cannot be simulated is not sent to a device that this command refuses."""
    try:
        yield
    except PlacementError as error:
        raise PlacementError(
            f"{error.message}, and fit only simulates", "measure single sizes: modelstat MODEL --memory --device cpu"
        ) from error


def _fitted(
    source: ModelSource,
    first: Profile,
    given: tuple[InputSpec, ...],
    settings: Settings,
    request: FitRequest,
    tried: Callable[[int], None],
    assumed: dict[str, None],
) -> FitResult:
    """The search, from the profile of the inputs as they are; what a size assumes is added to ``assumed``."""
    specs = given or tuple(spec_of(record) for record in first.provenance.inputs)
    axes = _axes(request.vary, specs)

    def simulate(size: int) -> FitPoint:
        tried(size)
        profile, _ = profile_spec(source, resized(specs, axes, size), settings)
        assumed.update(dict.fromkeys(profile.provenance.assumptions))
        return _point(size, profile)

    search = search_largest(simulate, request.budget, max(1, request.limit))
    obstacle = search.obstacle
    return FitResult(
        model=source.spec,
        varied=tuple(axis.name for axis in axes),
        budget=request.budget,
        device=request.device,
        source=request.source,
        points=search.ascending,
        best=search.largest,
        limit=request.limit,
        obstacle=None if obstacle is None else obstacle.message,
    )


def _axes(texts: tuple[str, ...], specs: tuple[InputSpec, ...]) -> tuple[Axis, ...]:
    return tuple(axis for text in texts for axis in _parsed(text, specs)) if texts else batch_axes(specs)


def _parsed(text: str, specs: tuple[InputSpec, ...]) -> tuple[Axis, ...]:
    name, _, number = text.rpartition(":")
    try:
        axis = int(number)
    except ValueError as error:
        raise UsageError(
            f"--vary {text!r} names no axis", "write it as NAME:AXIS, e.g. input_ids:1, or AXIS"
        ) from error
    found = named_axes(name, axis, specs)
    if not found:
        raise UsageError(f"--vary {text!r} fits no input", f"the inputs are {shapes_in_words(specs)}")
    return found


def _point(size: int, profile: Profile) -> FitPoint:
    memory = profile.memory
    assert memory is not None  # the settings watch memory
    return FitPoint(size, memory.peak.total, memory.peak.live, memory.peak.path, memory.phase)
