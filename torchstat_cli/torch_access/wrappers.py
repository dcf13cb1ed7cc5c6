"""See through wrappers (compiled modules, DDP, DataParallel), and refuse what cannot be looked into truthfully."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import chain
from typing import Literal, NamedTuple

import torch
from torch import nn

from torchstat_cli.errors import ModelError
from torchstat_cli.torch_access.modules import buffers_of, named_modules, parameters_of, parts

_COMPILED = "_orig_mod"
_REPLICATING = ("DistributedDataParallel", "DataParallel")
_SHARDING = ("FullyShardedDataParallel", "FSDPModule")

Check = Callable[[nn.Module], None]
"""Raises for a module that cannot be served."""


class Peeled(NamedTuple):
    """What a wrapped model is inside."""

    model: nn.Module
    compiled: bool  # a wrapper was a compiled one
    note: str | None  # a sentence that says what was looked through


def peeled(model: nn.Module, check: Check | None = None) -> Peeled:
    """The module inside any nesting of ``torch.compile``, DDP and DataParallel wrappers.

    Args:
        model: any module.
        check: called with each wrapper, and with the module inside.
    """
    compiled, note = False, None
    while True:
        if check is not None:
            check(model)
        if isinstance(model, torch.jit.ScriptModule):
            return Peeled(model, compiled, note)
        original, replicated = model._modules.get(_COMPILED), model._modules.get("module")
        if original is not None:
            model, compiled, note = original, True, "measured on the eager original of a compiled model"
        elif replicated is not None and _is_a(type(model).__mro__, _REPLICATING):
            note = f"measured on the module inside {type(model).__name__}"
            model = replicated
        else:
            return Peeled(model, compiled, note)


def unwrap(model: nn.Module) -> nn.Module:
    """The module inside the wrappers, every part of which hooks can serve.

    A TorchScript child is let pass here: it is one opaque leaf, whose own output the runtime can still see.

    Raises:
        ModelError: TorchScript, FSDP, parameters on a device mesh, or DataParallel over several devices.
        TypeError: not a module.
    """
    model, _ = inside(model)
    check = part_check()
    for part in parts(model):
        check(part)
    return model


def inside(model: nn.Module) -> tuple[nn.Module, bool]:
    """The module inside the wrappers, whose own parts are yet to be checked, and whether a wrapper was a compiled one.

    Raises:
        ModelError: a wrapper that is refused.
        TypeError: not a module.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"a model must be a torch.nn.Module, not {type(model).__name__}")
    found = peeled(model, refuse)
    return found.model, found.compiled


def part_check() -> Check:
    """What to call with each part of a model: raises as :func:`refuse` does, but lets TorchScript pass."""
    distributed = _is_distributed()

    def check(part: nn.Module) -> None:
        if isinstance(part, torch.jit.ScriptModule):
            return
        refuse(part)
        if distributed and sharding_of(part) == "DTensor":
            raise ModelError(
                f"the parameters of a {type(part).__name__} are DTensors: hooks see only this rank's part of them",
                "extract before the model is spread over a device mesh",
            )

    return check


def refuse(module: nn.Module) -> None:
    """Raise for a module whose insides Python cannot see.

    Raises:
        ModelError: TorchScript (its hooks never fire), FSDP (hooks see one rank's shards), replicas in threads.
    """
    if isinstance(module, torch.jit.ScriptModule):
        raise ModelError(
            "a TorchScript module hides its insides: hooks on it never fire",
            "give the Python module from which it was scripted or traced",
        )
    if _is_a(type(module).__mro__, _SHARDING):
        raise ModelError(
            "an FSDP model shows only this rank's part to hooks, between its own that gather and free parameters",
            "extract before sharding, or from the unsharded model on one device",
        )
    if type(module).__name__ == "DataParallel" and len(getattr(module, "device_ids", ())) > 1:
        raise ModelError(
            "DataParallel replicas overwrite each other's activations",
            "give the wrapped model itself (model.module), or one device",
        )


def refuse_sharded(model: nn.Module) -> None:
    """Raise for a model that FSDP or a device mesh has spread over processes, before anything of it is touched.

    Its own hooks gather parameters, and fail for good once those are swapped for meta twins; what is counted would be
    this process's part.

    Raises:
        ModelError: naming the module.
    """
    if not _is_distributed():
        return
    remedy = "profile the model before it is sharded: the counts are those of the whole model"
    for path, part in named_modules(model):
        name, how = repr(path) if path else "the model", sharding_of(part)
        if how == "FSDP":
            raise ModelError(f"{name} is sharded by FSDP", remedy)
        if how == "DTensor":
            raise ModelError(f"the parameters of {name} are DTensors, spread over a device mesh", remedy)


def sharding_of(module: nn.Module) -> Literal["FSDP", "DTensor"] | None:
    """What spreads the module's own parameters over processes."""
    if _is_a(type(module).__mro__, _SHARDING):
        return "FSDP"
    spread = any(type(parameter).__name__ == "DTensor" for parameter in module.parameters(recurse=False))
    return "DTensor" if spread else None


def _is_distributed() -> bool:
    """Whether there is a process group, without which nothing is sharded."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


@lru_cache
def _is_a(lineage: tuple[type, ...], names: tuple[str, ...]) -> bool:
    """By name: the classes themselves are slow to import, and some are private."""
    return any(base.__name__ in names for base in lineage)


def home_of(model: nn.Module) -> torch.device:
    """The device of the first parameter or buffer, the CPU without one."""
    tensors: Iterator[torch.Tensor] = chain(parameters_of(model), buffers_of(model))
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


def is_compiled(model: nn.Module) -> bool:
    """Whether ``model`` or anything inside it was compiled, by ``torch.compile`` or ``Module.compile``."""
    return any(map(was_compiled, parts(model)))


def was_compiled(module: nn.Module) -> bool:
    """Whether this very module was compiled, or is the wrapper of one that was."""
    return _COMPILED in module._modules or module._compiled_call_impl is not None


def clean_path(path: str) -> str:
    """A dotted module path without the components that compilation adds."""
    if _COMPILED not in path:
        return path
    return ".".join(part for part in path.split(".") if part != _COMPILED)
