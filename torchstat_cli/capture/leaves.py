"""Find the modules of a model: the leaves that carry metadata buffers, and the containers around them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True, slots=True)
class Site:
    """A module and its place in the model."""

    path: str  # dotted name under which the module is first registered, "" is the root
    module: nn.Module
    is_leaf: bool  # it has no child modules

    @property
    def takes_hooks(self) -> bool:
        """TorchScript modules take neither hooks nor buffers; the tape counts their work in their parent's name."""
        return not isinstance(self.module, torch.jit.ScriptModule)


def find_sites(model: nn.Module) -> tuple[Site, ...]:
    """Every distinct module of ``model``, parents before children; a module under two names appears under its first."""
    return tuple(Site(path, module, _is_leaf(module)) for path, module in model.named_modules())


def _is_leaf(module: nn.Module) -> bool:
    return not module._modules or next(module.children(), None) is None


def unwrap(model: nn.Module) -> tuple[nn.Module, str | None]:
    """The module that does the work inside a compiled or data-parallel wrapper, and a sentence that says so."""
    note = None
    while not isinstance(model, torch.jit.ScriptModule):
        compiled = model._modules.get("_orig_mod")  # torch.compile's OptimizedModule
        parallel = type(model).__name__ in ("DataParallel", "DistributedDataParallel")
        wrapped = model._modules.get("module") if parallel else None
        if compiled is not None:
            model, note = compiled, "measured on the eager original of a compiled model"
        elif wrapped is not None:
            model, note = wrapped, f"measured on the module inside {type(model).__name__}"
        else:
            break
    return model, note


_PLAIN = frozenset((bool, int, float, str))
_NEVER = frozenset((dict, OrderedDict, set, list, type(None)))
_OF_TORCH = frozenset(("training", "call_super_init", "dump_patches"))  # on every module, and no setting


def plain_attributes(module: nn.Module) -> Mapping[str, Any]:
    """The module's own settings: public attributes that are numbers, booleans, strings or tuples of those."""
    settings: dict[str, Any] = {}
    for name, value in vars(module).items():
        kind = type(value)
        if kind in _NEVER or name.startswith("_") or name in _OF_TORCH:
            continue
        if kind in _PLAIN or isinstance(value, (int, float, str)):  # the latter are enumerations and the like
            settings[name] = value
        elif isinstance(value, tuple) and all(isinstance(item, (bool, int, float, str)) for item in value):
            settings[name] = list(value)
    return settings
