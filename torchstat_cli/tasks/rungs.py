"""The rungs of the placement ladder: ways to have a model and its inputs together.

For a spec: built and run on meta; built for real except its parameters, so that small tables keep their values, and run
on meta; built and run on the CPU. A live model runs on meta twins of its tensors, then where it lies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

import torch
from torch import nn

from torchstat_cli.errors import BuildError, UsageError
from torchstat_cli.loading import (
    Inputs,
    InputSpec,
    ModelSource,
    Placed,
    inputs_on,
    make_inputs,
    place,
    place_meta_parameters,
)
from torchstat_cli.tasks.settings import Settings
from torchstat_cli.torch_access.wrappers import home_of, peeled, refuse_sharded


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


def spec_rungs(source: ModelSource, inputs_for: InputsFor, settings: Settings) -> Iterator[Rung]:
    """The rungs of a spec, up to where the settings forbid the next."""
    placed = place(source, settings.device, dtype=settings.dtype)
    yield as_rung(placed, inputs_for)
    if placed.placement.startswith("meta") and any(buffer.is_meta for buffer in placed.model.buffers()):
        try:
            with_values = place_meta_parameters(source, dtype=settings.dtype)
        except BuildError:
            return  # construction itself computes with parameters; the first rung's model stands
        yield as_rung(with_values, inputs_for)


def as_rung(placed: Placed, inputs_for: InputsFor) -> Rung:
    """A built model with the inputs that go with its placement.

    Raises:
        ModelError: the factory spread the model over processes.
    """
    refuse_sharded(placed.model)
    model, _, note = peeled(placed.model)
    on_meta = placed.placement.startswith("meta")
    inputs = inputs_for(model, "meta" if on_meta else placed.placement)
    placement = "meta+values" if placed.placement == "meta-parameters" else placed.placement
    return Rung(model, inputs, on_meta, placement, (*placed.notes, *((note,) if note else ())))


def live_rungs(model: nn.Module, given: Inputs | tuple[InputSpec, ...], settings: Settings) -> Iterator[Rung]:
    """The rungs of a live model that the settings ask for.

    Raises:
        UsageError: torch knows no such device, or the model lies on another.
    """
    home = home_of(model)
    try:
        wanted = home if settings.device == "auto" else torch.device(settings.device)
    except RuntimeError as error:
        raise UsageError(f"torch knows no device {settings.device!r}", "use auto, meta, cpu, cuda or mps") from error
    if settings.device in ("auto", "meta"):
        yield Rung(model, live_inputs(model, given, "meta"), True, "meta")
    elif wanted.type != home.type:
        raise UsageError(
            f"the model lies on {home}, not on {settings.device}", f"move it first, or use device='auto' or '{home}'"
        )
    else:
        yield Rung(model, live_inputs(model, given, str(home)), False, str(home))


def live_inputs(model: nn.Module, given: Inputs | tuple[InputSpec, ...], device: str) -> Inputs:
    """The inputs of a live model on a device."""
    if isinstance(given, tuple):
        return make_inputs(given, device=device, dtype=floating_dtype(model))
    return given if device == "meta" else inputs_on(given, device=device)


def floating_dtype(model: nn.Module) -> torch.dtype:
    """The dtype of the first floating parameter or buffer, torch's default without one."""
    tensors = chain(model.parameters(), model.buffers())
    return next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), torch.get_default_dtype())
