"""Find the modules of a model: the leaves that carry metadata buffers, and the containers around them."""

from __future__ import annotations

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
    """Every distinct module of ``model``, parents before children; a module under two names appears under its first.

    The names and the order are those of ``named_modules``, which takes three times as long.
    """
    sites: list[Site] = []
    _collect("", model, sites, set())
    return tuple(sites)


def _collect(path: str, module: nn.Module, sites: list[Site], seen: set[nn.Module]) -> None:
    seen.add(module)
    children = [(name, child) for name, child in module._modules.items() if child is not None]
    sites.append(Site(path, module, not children))
    for name, child in children:
        if child not in seen:
            _collect(f"{path}.{name}" if path else name, child, sites, seen)


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


_OF_TORCH = frozenset((*vars(nn.Module()), "call_super_init", "dump_patches"))  # on every module


def own_attributes(module: nn.Module) -> list[tuple[str, Any]]:
    """What was set on the module beyond what torch sets on every one."""
    return [(name, value) for name, value in vars(module).items() if name not in _OF_TORCH]


def plain_attributes(module: nn.Module) -> Mapping[str, Any]:
    """The module's own settings: public attributes that are numbers, booleans, strings or tuples of those."""
    settings: dict[str, Any] = {}
    for name, value in own_attributes(module):
        if name.startswith("_"):
            continue
        if isinstance(value, (int, float, str)):
            settings[name] = value
        elif isinstance(value, tuple) and all(isinstance(item, (int, float, str)) for item in value):
            settings[name] = list(value)
    return settings
