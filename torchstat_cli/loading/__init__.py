"""Turn a model spec and input specs into a module and dummy inputs, on a device that can hold them."""

from __future__ import annotations

from torchstat_cli.loading.given import Given, written_inputs
from torchstat_cli.loading.inputs import (
    Inputs,
    InputSpec,
    as_inputs,
    default_inputs,
    inputs_on,
    load_inputs,
    make_inputs,
    parse_input,
)
from torchstat_cli.loading.optimizers import DEFAULT_OPTIMIZER, find_loss, find_optimizer
from torchstat_cli.loading.placement import (
    Placed,
    memory_limit,
    module_bytes,
    place,
    place_meta_parameters,
    place_on_cpu,
    unasked_limit,
)
from torchstat_cli.loading.remedies import device_remedy, forward_remedy
from torchstat_cli.loading.source import ModelSource, announced
from torchstat_cli.loading.spec import find_model, parse_arguments

__all__ = [
    "DEFAULT_OPTIMIZER",
    "Given",
    "InputSpec",
    "Inputs",
    "ModelSource",
    "Placed",
    "announced",
    "as_inputs",
    "default_inputs",
    "device_remedy",
    "find_loss",
    "find_model",
    "find_optimizer",
    "forward_remedy",
    "inputs_on",
    "load_inputs",
    "make_inputs",
    "memory_limit",
    "module_bytes",
    "parse_arguments",
    "parse_input",
    "place",
    "place_meta_parameters",
    "place_on_cpu",
    "unasked_limit",
    "written_inputs",
]
