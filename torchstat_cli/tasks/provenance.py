"""Where a profile came from: the model, its inputs, the placement, the versions."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from torchstat_cli.loading import Inputs
from torchstat_cli.records import InputRecord, Provenance, Recording
from torchstat_cli.tasks.rungs import Origin, Rung
from torchstat_cli.tasks.settings import Settings
from torchstat_cli.torch_access.trees import tensors_in
from torchstat_cli.torch_access.wrappers import home_of
from torchstat_cli.version import __version__


def run_provenance(rung: Rung, recording: Recording, settings: Settings, origin: Origin) -> Provenance:
    """Where the profile of a dummy run comes from."""
    spec, resolved, source = origin
    placement = "meta+values" if recording.carried_values and rung.placement == "meta" else rung.placement
    return Provenance(
        spec=spec,
        resolved=resolved,
        class_name=type(rung.model).__name__,
        inputs=_input_records(rung.inputs),
        placement=placement,
        mode=settings.mode,
        assumptions=recording.assumptions,
        torch=torch.__version__.partition("+")[0],
        version=__version__,
        source=source,
        attention=recording.attention,
        notices=recording.leftovers,
    )


def live_provenance(model: nn.Module, recording: Recording) -> Provenance:
    """Where a profile of a user's own loop comes from; its inputs are those of the model's first call."""
    root = recording.modules[0]
    return Provenance(
        spec=None,
        resolved=f"{type(model).__module__}:{type(model).__qualname__}",
        class_name=type(model).__name__,
        inputs=tuple(InputRecord(None, shape, root.dtype or "") for shape in root.input_shape),
        placement=str(home_of(model)),
        mode="train" if model.training else "eval",
        assumptions=recording.assumptions,
        torch=torch.__version__.partition("+")[0],
        version=__version__,
        source=source_line(type(model)),
    )


def source_line(kind: type) -> str | None:
    """The "file:line" where a class says how it is built or run; None where it is not Python."""
    for name in ("__init__", "forward"):
        code = getattr(vars(kind).get(name), "__code__", None)
        if code is not None:
            return f"{code.co_filename}:{code.co_firstlineno}"
    return None


def _input_records(inputs: Inputs) -> tuple[InputRecord, ...]:
    def record(name: str | None, value: Any) -> list[InputRecord]:
        return [
            InputRecord(name, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
            for tensor in tensors_in(value)
        ]

    named = [*((None, value) for value in inputs.args), *inputs.kwargs.items()]
    return tuple(entry for name, value in named for entry in record(name, value))
