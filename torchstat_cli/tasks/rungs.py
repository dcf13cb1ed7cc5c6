"""The rungs of the placement ladder: a model that is ready to run, with its inputs, in one placement after another.

For a spec: built and run on meta; built for real except its parameters, so that small tables keep their values, and run
on meta; built and run on the CPU. A live model runs on meta twins of its tensors, then where it lies.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import torch
from torch import nn

from torchstat_cli.errors import BuildError, InputError, PlacementError, UsageError
from torchstat_cli.loading import (
    Given,
    Inputs,
    ModelSource,
    Placed,
    default_inputs,
    inputs_on,
    make_inputs,
    place,
    place_meta_parameters,
    place_on_cpu,
)
from torchstat_cli.loading.lazy import initialised
from torchstat_cli.tasks.origin import Origin
from torchstat_cli.torch_access.modes import refuse_faking
from torchstat_cli.torch_access.modules import buffers_of, parameters_of
from torchstat_cli.torch_access.wrappers import home_of, peeled, refuse_sharded


@dataclass(frozen=True)
class Rung:
    """A model that is ready to run: built, wrappers seen through, lazy modules initialized."""

    origin: Origin
    model: nn.Module
    inputs: Inputs | None  # on the device of the run; None where none were given and the model names none
    on_meta: bool  # the run takes no memory
    placement: str  # as reports say it: "meta", "meta+values", "cpu", "cuda:0"
    notes: tuple[str, ...] = ()  # what the user should know about this placement

    @property
    def call(self) -> Inputs:
        """The inputs, for a run that cannot do without.

        Raises:
            InputError: there are none; the message says what the forward pass takes.
        """
        if self.inputs is None:
            raise _missing_inputs(self)
        return self.inputs


@dataclass(frozen=True)
class SpecLadder:
    """The placements of what a spec points at; each builds it anew."""

    source: ModelSource
    given: Given | None  # None takes the model's own example
    device: str = "auto"  # "auto", "meta", or a device as torch spells it
    dtype: torch.dtype | None = None  # of floating parameters, buffers and generated inputs; None leaves them
    limit: int | None = None  # most bytes on the real CPU where the device is "auto"; None is the usual one

    def placements(self) -> Iterator[Placed]:
        """Where the settings say; on meta, then with the values of its buffers."""
        placed = place(self.source, self.device, dtype=self.dtype, limit_bytes=self.limit)
        yield placed
        if placed.on_meta and any(buffer.is_meta for buffer in buffers_of(placed.model)):
            try:
                with_values = place_meta_parameters(self.source, dtype=self.dtype)
            except BuildError:
                return  # construction itself computes with parameters; the first placement's model stands
            yield with_values

    def for_real(self, room: int) -> Placed | None:
        """On the CPU, where the device is "auto"."""
        if self.device != "auto":
            return None
        return place_on_cpu(self.source, dtype=self.dtype, limit_bytes=room)

    @property
    def remedy(self) -> str:
        """What helps where values are missing."""
        return "run it for real: --device cpu"

    def rung(self, placed: Placed) -> Rung:
        """The model with the inputs that go with its placement."""
        refuse_sharded(placed.model)
        model, _, note = peeled(placed.model)
        inputs = self._inputs(model, "meta" if placed.on_meta else placed.placement)
        return Rung(
            Origin(self.source.spec, self.source.resolved, self.source.source, type(model).__name__),
            model if inputs is None else initialised(model, inputs, on_meta=placed.on_meta),
            inputs,
            placed.on_meta,
            "meta+values" if placed.placement == "meta-parameters" else placed.placement,
            (*placed.notes, *((note,) if note else ())),
        )

    def _inputs(self, model: nn.Module, device: str) -> Inputs | None:
        dtype = self.dtype or _floating_dtype(model)
        if self.given is None:
            return default_inputs(self.source, device=device, dtype=dtype)
        if isinstance(self.given, tuple):
            return make_inputs(self.given, device=device, dtype=dtype)
        return inputs_on(self.given, device=device)


@dataclass(frozen=True)
class LiveLadder:
    """The placements of a live model, which stays where it is."""

    model: nn.Module  # wrappers seen through
    given: Given
    device: str = "auto"

    def placements(self) -> Iterator[Placed]:
        """On meta, or where it lies.

        Raises:
            UsageError: torch knows no such device, or the model lies on another.
        """
        home = home_of(self.model)
        try:
            wanted = home if self.device == "auto" else torch.device(self.device)
        except RuntimeError as error:
            raise UsageError(f"torch knows no device {self.device!r}", "use auto, meta, cpu, cuda or mps") from error
        if self.device in ("auto", "meta"):
            yield Placed(self.model, "meta")
        elif wanted.type != home.type:
            raise UsageError(
                f"the model lies on {home}, not on {self.device}", f"move it first, or use device='auto' or '{home}'"
            )
        else:
            yield self.at_home()

    def for_real(self, room: int) -> Placed | None:
        """Where it lies, where the device is "auto".

        Raises:
            PlacementError: ``room`` is less than nothing on the CPU.
        """
        home = home_of(self.model)
        if self.device != "auto" or home.type == "meta":
            return None
        if home.type == "cpu" and room < 0:
            raise PlacementError(
                "the run would need more memory than may be used", "use device='cpu' to run it all the same"
            )
        return self.at_home()

    def at_home(self) -> Placed:
        """Where it lies."""
        refuse_faking()
        return Placed(self.model, str(home_of(self.model)))

    @property
    def remedy(self) -> str:
        """What helps where values are missing."""
        if home_of(self.model).type == "meta":
            return "build the model on the CPU: it lies on meta and has no values"
        return "run it for real: device='cpu'"

    def rung(self, placed: Placed) -> Rung:
        """The model with its inputs on the device of the run."""
        inputs = self._inputs("meta" if placed.on_meta else placed.placement)
        return Rung(
            Origin.of_live(self.model),
            initialised(self.model, inputs, on_meta=placed.on_meta),
            inputs,
            placed.on_meta,
            placed.placement,
        )

    def _inputs(self, device: str) -> Inputs:
        if isinstance(self.given, tuple):
            return make_inputs(self.given, device=device, dtype=_floating_dtype(self.model))
        return self.given if device == "meta" else inputs_on(self.given, device=device)


def _floating_dtype(model: nn.Module) -> torch.dtype:
    """The dtype of the first floating parameter or buffer, torch's default without one."""
    tensors = chain(parameters_of(model), buffers_of(model))
    return next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), torch.get_default_dtype())


def _missing_inputs(rung: Rung) -> InputError:
    wanted = _wanted(rung.model)
    if len(wanted) > 1:
        remedy = f"give each: {' '.join(f'--input {name}=SHAPE' for name in wanted)} (or --inputs module:function)"
    else:
        remedy = "give one: --input 1,3,224,224 (or --inputs module:function)"
    return InputError(
        f"{rung.origin.spec} does not say what input it takes; its forward wants {', '.join(wanted) or 'something'}",
        remedy,
    )


def _wanted(model: nn.Module) -> list[str]:
    """The inputs that a call has to give, as far as ``forward`` says: TorchScript and code in C have no signature."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return []
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p.name for p in parameters if p.default is p.empty and p.kind in named]
