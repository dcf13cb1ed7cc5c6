"""One model spec, its nodes: built without memory if possible, run where its values are needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from torchstat_cli.activations.nodes.listing import Arguments, NodeListing, list_nodes
from torchstat_cli.activations.nodes.recording import Progress
from torchstat_cli.activations.selection.engines import Engine
from torchstat_cli.errors import ForwardError, ModelstatError
from torchstat_cli.foreign_text import named
from torchstat_cli.loading import (
    Inputs,
    InputSpec,
    ModelSource,
    Placed,
    announced,
    default_inputs,
    find_model,
    inputs_on,
    make_inputs,
    memory_limit,
    place,
    place_on_cpu,
)


def list_spec_nodes(
    spec: str,
    given: Inputs | tuple[InputSpec, ...] | None = None,
    *,
    engine: Engine = "auto",
    compat: str | None = None,
    device: str = "auto",
    arguments: Mapping[str, Any] | None = None,
    online: bool = False,
    progress: Progress | None = None,
) -> NodeListing:
    """What can be extracted from the model that ``spec`` points at; with shapes where its inputs are known.

    Raises:
        ModelstatError: the model cannot be found, built, traced (where that is forced) or run.
    """
    source = find_model(spec, arguments, online=online)

    def listed(placed: Placed) -> NodeListing | Exception:
        inputs = _arguments_on(source, given, placed)
        try:
            return list_nodes(
                placed.model, inputs, engine=engine, torchvision_names=compat == "torchvision", progress=progress
            )
        except ModelstatError:
            raise
        except Exception as error:
            # The user's code ran, and may raise anything.
            return error

    with announced(source.notices):
        placed = place(source, device)
        result = listed(placed)
        if isinstance(result, Exception) and device == "auto" and placed.placement.startswith("meta"):
            # Without memory the reason may be that values are missing.
            result = listed(place_on_cpu(source, limit_bytes=memory_limit()))
        if isinstance(result, Exception):
            raise ForwardError(
                f"{spec} does not run on these inputs: {named(result)}", "give others with --input"
            ) from result
    return replace(result, notes=(*source.notices, *result.notes))


def _arguments_on(
    source: ModelSource, given: Inputs | tuple[InputSpec, ...] | None, placed: Placed
) -> Arguments | None:
    parameter = next((p for p in placed.model.parameters() if p.is_floating_point()), None)
    device = "cpu" if parameter is None else str(parameter.device)
    dtype = torch.float32 if parameter is None else parameter.dtype
    if given is None:
        inputs = default_inputs(source, device=device, dtype=dtype)
    elif isinstance(given, tuple):
        inputs = make_inputs(given, device=device, dtype=dtype)
    else:
        inputs = inputs_on(given, device=device)
    return None if inputs is None else (inputs.args, inputs.kwargs)
