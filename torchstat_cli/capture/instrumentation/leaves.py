"""Find the modules of a model: the leaves that carry metadata buffers, and the containers around them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import nn

from torchstat_cli.torch_access.modules import named_modules
from torchstat_cli.torch_access.trees import items_of

_Script = torch.jit.ScriptModule


class Site(NamedTuple):
    """A module and its place in the model."""

    path: str  # dotted name under which the module is first registered, "" is the root
    module: nn.Module
    is_leaf: bool  # it has no child modules
    takes_hooks: bool  # TorchScript takes neither hooks nor buffers; its work counts in its parent's name


def find_sites(model: nn.Module) -> tuple[Site, ...]:
    """Every distinct module of ``model``, parents before children; a module under two names appears under its first."""
    return tuple([_site(path, module) for path, module in named_modules(model)])


def _site(path: str, module: nn.Module) -> Site:
    children = module._modules
    is_leaf = not children or not any(child is not None for child in children.values())
    return Site(path, module, is_leaf, not isinstance(module, _Script))


_SET_BY_TORCH = tuple(vars(nn.Module()))  # on every module, and as a rule before anything else
_OF_TORCH = frozenset((*_SET_BY_TORCH, "call_super_init", "dump_patches"))
_SETTINGS = frozenset((int, float, bool, str))
_PLAIN = _SETTINGS | {type(None)}


def own_attributes(module: nn.Module) -> list[tuple[str, Any]]:
    """What was set on the module beyond what torch sets on every one."""
    attributes, given = vars(module), len(_SET_BY_TORCH)
    is_usual = "call_super_init" not in attributes and "dump_patches" not in attributes
    if is_usual and tuple(islice(attributes, given)) == _SET_BY_TORCH:
        return list(islice(attributes.items(), given, None))
    return [item for item in attributes.items() if item[0] not in _OF_TORCH]


def plain_attributes(own: list[tuple[str, Any]]) -> Mapping[str, Any]:
    """The settings among a module's own attributes: public numbers, booleans, strings and tuples of those."""
    settings: dict[str, Any] = {}
    for name, value in own:
        if name[:1] == "_":
            continue
        kind = type(value)
        if kind in _SETTINGS or isinstance(value, (int, float, str)):
            settings[name] = value
        elif isinstance(value, tuple) and _are_settings(items := items_of(value)):
            settings[name] = items
    return settings


def _are_settings(items: list[Any]) -> bool:
    return _SETTINGS.issuperset(map(type, items)) or all(isinstance(item, (int, float, str)) for item in items)


def loose_values(module: nn.Module) -> list[tuple[str, Any]]:
    """A module's own attributes that may hold tensors: tensors, and lists and tuples that are no mere settings."""
    return [
        (name, value)
        for name, value in own_attributes(module)
        if type(value) not in _PLAIN
        and (
            isinstance(value, torch.Tensor)
            or (isinstance(value, (list, tuple)) and not _PLAIN.issuperset(map(type, items_of(value))))
        )
    ]
