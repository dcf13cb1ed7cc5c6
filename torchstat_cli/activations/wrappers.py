"""See through wrappers (DDP, compiled modules), and refuse what cannot be observed truthfully."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch import nn

from torchstat_cli.errors import ModelError

_COMPILED = "_orig_mod"
_REPLICATING = ("DistributedDataParallel", "DataParallel")
_SHARDING = ("FullyShardedDataParallel", "FSDPModule")


def unwrap(model: nn.Module) -> nn.Module:
    """The module inside any nesting of ``torch.compile``, DDP and DataParallel wrappers.

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


def part_check() -> Callable[[nn.Module], None]:
    """What to call with each part of a model: raises as :func:`refuse` does, but lets TorchScript pass."""
    # No mesh without a process group.
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()

    def check(part: nn.Module) -> None:
        if not isinstance(part, torch.jit.ScriptModule):
            refuse(part)
            if distributed:
                _refuse_mesh(part)

    return check


def inside(model: nn.Module) -> tuple[nn.Module, bool]:
    """The module inside the wrappers, whose own parts are yet to be checked, and whether a wrapper was a compiled one.

    Raises:
        ModelError: a wrapper that is refused.
        TypeError: not a module.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"a model must be a torch.nn.Module, not {type(model).__name__}")
    compiled = False
    while True:
        refuse(model)
        if _COMPILED in model._modules:
            model, compiled = getattr(model, _COMPILED), True
        elif type(model).__name__ in _REPLICATING:
            model = model.module  # type: ignore[assignment]
        else:
            return model, compiled


def _refuse_mesh(module: nn.Module) -> None:
    if any(type(parameter).__name__ == "DTensor" for parameter in module._parameters.values()):
        raise ModelError(
            f"the parameters of a {type(module).__name__} are DTensors: hooks see only this rank's part of its values",
            "extract before the model is spread over a device mesh",
        )


def parts(model: nn.Module) -> Iterator[nn.Module]:
    """``model`` and every module in it, once each; the insides of TorchScript are left out.

    ``model.modules()`` does the same through one generator per level, which a small model called often would feel.
    """
    seen = {model}
    pending = [model]
    while pending:
        part = pending.pop()
        yield part
        if not isinstance(part, torch.jit.ScriptModule):
            children = {child: None for child in part._modules.values() if child is not None and child not in seen}
            seen.update(children)
            pending.extend(children)


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
    if _is_sharded(type(module).__mro__):
        raise ModelError(
            "an FSDP model shows only this rank's part to hooks, between its own that gather and free parameters",
            "extract before sharding, or from the unsharded model on one device",
        )
    if type(module).__name__ == "DataParallel" and len(getattr(module, "device_ids", ())) > 1:
        raise ModelError(
            "DataParallel replicas overwrite each other's activations",
            "give the wrapped model itself (model.module), or one device",
        )


@lru_cache
def _is_sharded(lineage: tuple[type, ...]) -> bool:
    return any(base.__name__ in _SHARDING for base in lineage)


def is_compiled(model: nn.Module) -> bool:
    """Whether ``model`` or anything inside it was compiled, by ``torch.compile`` or ``Module.compile``."""
    return any(map(was_compiled, parts(model)))


def was_compiled(module: nn.Module) -> bool:
    """Whether this very module was compiled, or is the wrapper of one that was."""
    return _COMPILED in module._modules or module._compiled_call_impl is not None


@contextmanager
def eagerly(model: nn.Module, *, compiled: bool | None = None) -> Iterator[None]:
    """Run compiled parts of ``model`` as plain Python inside the block.

    Code that was compiled before a hook existed goes on ignoring it without a word; run eagerly, every
    hook fires. Who knows whether anything was ``compiled`` saves the search.
    """
    if torch.compiler.is_compiling() or not (is_compiled(model) if compiled is None else compiled):
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


def clean_path(path: str) -> str:
    """A dotted module path without the components that compilation adds."""
    if _COMPILED not in path:
        return path
    return ".".join(part for part in path.split(".") if part != _COMPILED)
