"""Where a profile came from: the model, its inputs, the placement, the versions."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from torchstat_cli.loading import Inputs
from torchstat_cli.records import InputRecord, Provenance, Recording
from torchstat_cli.tasks.origin import Origin
from torchstat_cli.tasks.rungs import Rung
from torchstat_cli.tasks.settings import Settings
from torchstat_cli.torch_access.trees import tensors_in
from torchstat_cli.torch_access.wrappers import home_of
from torchstat_cli.version import __version__


def run_provenance(rung: Rung, recording: Recording, settings: Settings) -> Provenance:
    """Where the profile of a dummy run comes from."""
    spec, resolved, source, class_name = rung.origin
    placement = "meta+values" if recording.carried_values and rung.placement == "meta" else rung.placement
    return Provenance(
        spec=spec,
        resolved=resolved,
        class_name=class_name,
        inputs=_input_records(rung.call),
        placement=placement,
        mode=settings.mode,
        assumptions=recording.assumptions,
        torch=torch.__version__.partition("+")[0],
        version=__version__,
        source=source,
        attention=recording.attention,
        notices=recording.notices,
    )


def live_provenance(model: nn.Module, recording: Recording) -> Provenance:
    """Where a profile of a user's own loop comes from; its inputs are those of the model's first call."""
    root = recording.modules[0]
    spec, resolved, source, class_name = Origin.of_live(model)
    return Provenance(
        spec=spec,
        resolved=resolved,
        class_name=class_name,
        inputs=tuple(InputRecord(None, shape, root.dtype or "") for shape in root.input_shape),
        placement=str(home_of(model)),
        mode="train" if model.training else "eval",
        assumptions=recording.assumptions,
        torch=torch.__version__.partition("+")[0],
        version=__version__,
        source=source,
        notices=recording.notices,
    )


def _input_records(inputs: Inputs) -> tuple[InputRecord, ...]:
    def record(name: str | None, value: Any) -> list[InputRecord]:
        return [
            InputRecord(name, tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
            for tensor in tensors_in(value)
        ]

    named = [*((None, value) for value in inputs.args), *inputs.kwargs.items()]
    return tuple(entry for name, value in named for entry in record(name, value))
