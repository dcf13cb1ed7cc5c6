"""Everything that is reachable from a model and the inputs of a run, and what it holds before the run."""

from __future__ import annotations

import copy
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import count, cycle
from operator import is_
from types import BuiltinFunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from torchstat_cli.torch_access.holders import Kind, kind_of
from torchstat_cli.torch_access.trees import Change, items_of, tuple_like

MOST_OBJECTS = 1 << 18
"""A model that leads to more (a trainer, a data set in memory) is followed no further."""

REGISTRIES = frozenset(("_parameters", "_buffers", "_modules"))

_PLAIN = frozenset((int, float, complex, bool, str, bytes, type(None), torch.dtype, torch.device, torch.Size))
_BUILTIN = frozenset((dict, list, set, tuple, OrderedDict))
_ITERATORS: tuple[type, ...] = (count, cycle, type(iter([])), type(iter(())), type(iter(range(0))))
_SWAPPED = (Tensor, tuple, *_ITERATORS)  # replaced where they stand, not changed themselves
_CLOSED = (
    type,
    ModuleType,
    BuiltinFunctionType,
    torch.ScriptObject,
    torch.storage.TypedStorage,
)
_ENDS = (
    *("torch.fx", "torch._", "torch.jit", "torch.export", "torch.distributed", "torch.utils.data"),
    *("threading", "_thread", "logging", "io", "_io", "asyncio", "concurrent", "multiprocessing", "socket", "typing"),
)
"""Modules whose objects a forward pass does not change, and which lead far."""


class Held(NamedTuple):
    """An object that holds others, and what it held."""

    holder: Any
    kind: Kind
    contents: list[Any]


class Reach:
    """Each object once: the modules with their attributes, and all else that holds something.

    Args:
        modules: of the model; modules that they hide from it are found.
        values: the inputs.
    """

    def __init__(self, modules: Iterable[nn.Module], values: Iterable[Any] = ()) -> None:
        self.modules: list[tuple[nn.Module, dict[str, Any]]] = []
        self.empty: list[Any] = []  # plain containers that hold nothing: most of most modules
        self.registries: list[tuple[dict[str, Any], dict[str, Any]]] = []  # torch's own, and what they held
        self.held: list[Held] = []
        self.loose: list[tuple[dict[str, Any], str]] = []  # attributes of modules that are tensors or tuples
        self.is_whole = True  # else there was too much to follow
        self._seen: set[int] = set()
        self._pending: list[Any] = []
        given = list(modules)
        self._seen.update(map(id, given))
        for module in given:
            self._open(module)
        for value in values:
            self._add(value)
        while self._pending:
            if len(self._seen) > MOST_OBJECTS:
                self.is_whole = False
                return
            self._enter(self._pending.pop())

    def _add(self, value: Any) -> None:
        kind = type(value)
        if kind in _PLAIN or id(value) in self._seen:
            return
        if isinstance(value, (Tensor, *_CLOSED)):
            return
        self._seen.add(id(value))
        self._pending.append(value)

    def _open(self, module: nn.Module) -> None:
        attributes = vars(module).copy()
        self.modules.append((module, attributes))
        if isinstance(module, torch.jit.ScriptModule):
            return  # all else of it lives in C++
        for name, value in attributes.items():
            kind = type(value)
            if kind in _PLAIN:
                continue
            if kind in _BUILTIN and not value:
                if kind is not tuple:
                    self.empty.append(value)
            elif name in REGISTRIES and (kind is dict or kind is OrderedDict):
                self.registries.append((value, value.copy()))
                if name == "_modules":
                    self._add_all(list(value.values()))
            elif kind is tuple and _PLAIN.issuperset(map(type, value)):
                continue  # a setting
            elif isinstance(value, _SWAPPED):
                self.loose.append((vars(module), name))
                self._add(value)
            else:
                self._add(value)

    def _enter(self, value: Any) -> None:
        if isinstance(value, nn.Module):
            self._open(value)
            return
        if isinstance(value, MethodType):
            self._add(value.__self__)
            self._add(value.__func__)
            return
        kind = kind_of(value)
        if kind is not None:
            contents = kind.read(value)
            self.held.append(Held(value, kind, contents))
            if kind.holds_objects:
                self._add_all(contents)
            if type(value) in _BUILTIN:
                return
        elif str(type(value).__module__).startswith(_ENDS):
            return
        for state in _states(value):
            self.held.append(state)
            self._add_all(state.contents)

    def _add_all(self, contents: list[Any]) -> None:
        if not _PLAIN.issuperset(map(type, contents)):
            for item in contents:
                self._add(item)


def replace_tensors(reach: Reach, change: Change) -> None:
    """Put ``change(tensor)`` in the place of every tensor that is reachable, registered ones included.

    Containers and objects are changed in place, tuples made anew where they stand, counters go on as copies; a snapshot
    puts everything back.
    """
    for attributes, name in reach.loose:
        attributes[name] = _swapped(attributes[name], change)
    for registry, _ in reach.registries:
        for name, item in registry.items():
            if isinstance(item, Tensor):
                registry[name] = change(item)
    for holder, kind, _ in reach.held:
        if not kind.holds_objects:
            continue
        contents = kind.read(holder)
        if _PLAIN.issuperset(map(type, contents)):
            continue
        changed = [_swapped(item, change) for item in contents]
        if not all(map(is_, contents, changed)):
            kind.write(holder, changed)


def _swapped(item: Any, change: Change) -> Any:
    if isinstance(item, Tensor):
        return change(item)
    if isinstance(item, _ITERATORS):
        return _copied(item)
    if not isinstance(item, tuple) or type(item) is torch.Size:
        return item
    items = items_of(item)
    changed = [_swapped(part, change) for part in items]
    return item if all(map(is_, items, changed)) else tuple_like(item, changed)


def _copied(iterator: Any) -> Any:
    """One that stands where the other does; itself where this Python cannot copy it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return copy.copy(iterator)
        except TypeError:
            return iterator


def _held(holder: Any) -> Held:
    kind = kind_of(holder)
    assert kind is not None  # registries are dicts
    return Held(holder, kind, kind.read(holder))


def _states(value: Any) -> Iterator[Held]:
    """What an ordinary object holds: its dictionary, its slots."""
    if type(value).__dictoffset__:
        # Asked in this way, a proxy does not answer for what it stands for.
        yield _held(object.__getattribute__(value, "__dict__"))
    slots = _slots_of(type(value))  # type: ignore[arg-type]  # a class is hashable
    if slots is not None:
        yield Held(value, slots, slots.read(value))


@lru_cache
def _slots_of(kind: Any) -> Kind | None:
    names: list[str] = []
    for base in kind.__mro__:
        slots = vars(base).get("__slots__", ())
        own = (slots,) if isinstance(slots, str) else tuple(slots)
        names += [_mangled(name, base) for name in own if name not in ("__dict__", "__weakref__")]
    return _slots_kind(tuple(names)) if names else None


def _mangled(name: str, base: type) -> str:
    is_mangled = name.startswith("__") and not name.endswith("__")
    return f"_{base.__name__.lstrip('_')}{name}" if is_mangled else name


_ABSENT = object()


def _slots_kind(names: tuple[str, ...]) -> Kind:
    def read(value: Any) -> list[Any]:
        return [getattr(value, name, _ABSENT) for name in names]

    def write(value: Any, contents: list[Any]) -> None:
        for name, item in zip(names, contents, strict=True):
            if item is not _ABSENT:
                object.__setattr__(value, name, item)
            elif hasattr(value, name):
                object.__delattr__(value, name)

    return Kind(read, write)
