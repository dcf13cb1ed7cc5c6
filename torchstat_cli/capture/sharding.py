"""Refuse models whose parameters are spread over processes, before anything of theirs is touched."""

from __future__ import annotations

import torch
from torch import nn

from torchstat_cli.errors import ModelError

_SHARDING = ("FullyShardedDataParallel", "FSDPModule")
_REMEDY = "profile the model before it is sharded: the counts are those of the whole model"


def refuse_sharded(model: nn.Module) -> None:
    """Raise for a model that FSDP or a device mesh has spread over processes.

    Its own hooks gather parameters, and fail for good once those are swapped for meta twins; what is counted would be
    this process's part.

    Raises:
        ModelError: naming the module.
    """
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return  # neither exists without a process group
    for path, part in model.named_modules():
        name = repr(path) if path else "the model"
        if any(kind.__name__ in _SHARDING for kind in type(part).__mro__):
            raise ModelError(f"{name} is sharded by FSDP", _REMEDY)
        if any(type(parameter).__name__ == "DTensor" for parameter in part.parameters(recurse=False)):
            raise ModelError(f"the parameters of {name} are DTensors, spread over a device mesh", _REMEDY)
