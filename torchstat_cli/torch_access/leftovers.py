"""Tensors that a run lent and that live on where no walk from the model leads: globals, classes, functools' caches.

The next real call would meet them there. What held something else before gets it back, what is new is dropped, caches
of functools are cleared; what is left is named.
"""

from __future__ import annotations

import functools
import gc
import sys
from collections import deque
from collections.abc import Iterable, Iterator, MutableSequence
from types import CellType, FrameType, FunctionType, GeneratorType, ModuleType
from typing import Any
from weakref import ref

from torch import Tensor, nn

from torchstat_cli.torch_access.holders import Kind
from torchstat_cli.torch_access.reach import Held, Reach
from torchstat_cli.torch_access.trees import items_of

_LIBRARIES = ("torch.", "builtins")
_SET_BY_PYTHON = frozenset((*vars(ModuleType("")), "__builtins__", "__cached__", "__file__", "__path__", "__dict__"))
_NOT_FOLLOWED = (type, ModuleType, FunctionType, nn.Module, str)
_MACHINERY: tuple[type, ...] = (FrameType, GeneratorType, type(iter([])))  # of the search itself
_DEPTH = 3  # steps from a tensor to whatever holds it
_MOST = 3  # tensors that are named one by one: each takes several looks at every object of the process

_Cache = type(functools.lru_cache(lambda: None))


class Leftovers:
    """What a run lends, and how the places looked before where it might be left.

    Args:
        modules: of the model; their classes, and the Python files that define those, may keep what a forward makes.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self.lent: list[ref[Tensor]] = []
        kinds = {base for kind in set(map(type, modules)) for base in kind.__mro__ if not _is_library(base)}
        files = {name: sys.modules[name] for name in {kind.__module__ for kind in kinds} if name in sys.modules}
        self._namespaces: list[tuple[Any, dict[str, Any]]] = [(owner, vars(owner).copy()) for owner in kinds]
        self._namespaces += [(file, vars(file).copy()) for file in files.values()]
        values = [value for _, names in self._namespaces for name, value in names.items() if name not in _SET_BY_PYTHON]
        self._outside = Reach((), [value for value in values if not isinstance(value, _NOT_FOLLOWED)])
        self._caches = [(value, value.cache_info().misses) for value in values if isinstance(value, _Cache)]

    def clear_after_failure(self) -> None:
        """Take back what a run that raised left in the places known before it.

        Its traceback still holds most of what it lent, so who else does cannot be told apart.
        """
        self._restore(set(map(id, self._survivors())))
        for cache, misses in self._caches:
            if cache.cache_info().misses != misses:
                cache.cache_clear()

    def clear(self) -> tuple[str, ...]:
        """Take the lent tensors away from all who still hold them; a sentence for each place that keeps one."""
        if not self._survivors():
            return ()
        gc.collect()  # what only a cycle kept is gone now
        survivors = self._survivors()
        if not survivors:
            return ()
        keys = set(map(id, survivors))
        self._restore(keys)
        del survivors
        _drop(self._survivors(), _DEPTH)
        gc.collect()
        left = [lent for lent in self.lent if lent() is not None]
        sentences = filter(None, map(_sentence, left[:_MOST]))
        more = [f"and so do {len(left) - _MOST} more tensors"] if len(left) > _MOST else []
        return tuple(dict.fromkeys((*sentences, *more)))

    def _survivors(self) -> list[Tensor]:
        return [tensor for lent in self.lent if (tensor := lent()) is not None]

    def _restore(self, keys: set[int]) -> None:
        for owner, names in self._namespaces:
            for name in [name for name, value in vars(owner).items() if id(value) in keys]:
                if name in names:
                    setattr(owner, name, names[name])
                else:
                    delattr(owner, name)
        for held in self._outside.held:
            if _holds_any(held, keys):
                held.kind.write(held.holder, held.contents)


def _holds_any(held: Held, keys: set[int]) -> bool:
    kind: Kind = held.kind
    return kind.holds_objects and any(_leads_to(item, keys, _DEPTH) for item in kind.read(held.holder))


def _leads_to(item: Any, keys: set[int], depth: int) -> bool:
    """Whether a new item of a container is, or contains, what was lent."""
    if id(item) in keys:
        return True
    if not depth or not isinstance(item, (tuple, list, set, frozenset, dict)):
        return False
    return any(_leads_to(part, keys, depth - 1) for part in items_of(item))


def _is_library(kind: type) -> bool:
    return kind is object or kind.__module__.startswith(_LIBRARIES) or kind.__module__ == "torch"


def _drop(items: list[Any], depth: int, own: tuple[Any, ...] = ()) -> None:
    """Take ``items`` out of the caches and new entries that hold them; all at once, as each look is at the whole heap.

    Args:
        items: tensors, or what holds them.
        depth: steps to go.
        own: lists of the search itself.
    """
    if not items or not depth:
        return
    own = (*own, items)
    holders = [
        holder
        for holder in gc.get_referrers(*items)
        if not isinstance(holder, _MACHINERY) and all(holder is not one for one in own)
    ]
    keys = set(map(id, items))
    _drop_from_dicts([holder for holder in holders if isinstance(holder, dict)], keys)
    for holder in holders:
        if isinstance(holder, _Cache):
            holder.cache_clear()
        elif isinstance(holder, (list, deque)):
            _without(holder, keys)
        elif isinstance(holder, set):
            holder.difference_update([item for item in holder if id(item) in keys])
    between = [holder for holder in holders if isinstance(holder, tuple) or type(holder).__name__ == "_lru_list_elem"]
    _drop(between, depth - 1, (*own, holders))


def _drop_from_dicts(dicts: list[dict[Any, Any]], keys: set[int]) -> None:
    for owner in gc.get_referrers(*dicts) if dicts else ():
        if isinstance(owner, _Cache):
            owner.cache_clear()
    namespaces = {id(vars(module)) for module in list(sys.modules.values()) if isinstance(module, ModuleType)}
    for holder in dicts:
        if id(holder) not in namespaces:
            for key in [key for key, value in holder.items() if id(value) in keys]:
                del holder[key]


def _without(holder: MutableSequence[Any], keys: set[int]) -> None:
    for index in [index for index, value in enumerate(holder) if id(value) in keys][::-1]:
        del holder[index]


def _sentence(lent: ref[Tensor]) -> str | None:
    tensor = lent()
    if tensor is None:
        return None
    shape = "x".join(map(str, tensor.shape)) or "()"
    places = ", ".join(dict.fromkeys(_places(tensor, _DEPTH))) or "an object that cannot be named"
    return f"a tensor of the run ({shape}) lives on in {places}: clear it before the next real call"


def _places(item: Any, depth: int) -> Iterator[str]:
    for holder in gc.get_referrers(item):
        if isinstance(holder, _MACHINERY) or depth == 0:
            continue
        if isinstance(holder, dict):
            names = [key for key, value in holder.items() if value is item]
            module = next((m for m in list(sys.modules.values()) if getattr(m, "__dict__", None) is holder), None)
            if module is not None:
                yield from (f"{module.__name__}.{name}" for name in names)
                continue
        elif isinstance(holder, type):
            yield f"{holder.__module__}.{holder.__qualname__}"
            continue
        elif not isinstance(holder, (list, tuple, set, deque, CellType)):
            yield f"a {type(holder).__name__}"
            continue
        yield from _places(holder, depth - 1)
