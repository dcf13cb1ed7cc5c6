"""Walk and rebuild the nested values that modules take and return."""

from __future__ import annotations

import copy
import dataclasses
import operator
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from types import MemberDescriptorType
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

Change = Callable[[Tensor], Tensor]

_CONTAINERS = (tuple, list, set, frozenset, dict)
_PLAIN = (int, float, complex, str, bytes, type)
_USUAL = frozenset((int, float, bool, str, type(None), torch.dtype, torch.device, torch.Size))
_HEAP_TYPE = 1 << 9  # CPython's flag of classes that a class statement made
_RECORD_NAMES = ("Cache", "Layer", "Output")


class _Made(dict[int, tuple[Any, Any]]):
    """By id: an object, which has to live meanwhile, and its copy."""

    def __init__(self, objects: bool) -> None:
        super().__init__()
        self.objects = objects  # whether ordinary objects are copied, too


def tensors_in(value: object, *, objects: bool = False) -> Iterator[Tensor]:
    """Every tensor inside containers, dataclasses, caches and output records, in order; each object once.

    With ``objects`` also those in the attributes of any other object that is no module, class or function.
    """
    return iter((value,) if isinstance(value, Tensor) else _collected(value, objects))


def _collected(value: object, objects: bool) -> list[Tensor]:
    # Without a generator per level: a cache of many layers is walked at every layer.
    found: list[Tensor] = []
    seen: set[int] = set()
    pending = [value]
    while pending:
        item = pending.pop()
        kind = type(item)
        if kind in _USUAL:
            continue
        if isinstance(item, Tensor):
            found.append(item)
        elif id(item) not in seen:
            seen.add(id(item))
            children = (_ways.get(kind) or _way_into(item))(item)
            if objects and not children and is_ordinary(item):
                children = list(attributes_of(item).values())
            children.reverse()
            pending += children
    return found


_ways: WeakKeyDictionary[type, Callable[[Any], list[Any]]] = WeakKeyDictionary()  # what objects of a class hold


def _way_into(value: object) -> Callable[[Any], list[Any]]:
    way = _ways[type(value)] = _find_way(value)
    return way


def _find_way(value: object) -> Callable[[Any], list[Any]]:
    if isinstance(value, _PLAIN):
        return _nothing
    if isinstance(value, _CONTAINERS):
        return items_of
    if isinstance(value, Mapping):
        return lambda mapping: list(mapping.values())
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        return lambda record: [getattr(record, name, None) for name in names]
    return (lambda record: list(vars(record).values())) if is_record(value) else _nothing


def _nothing(value: object) -> list[Any]:
    return []


def is_record(value: object) -> bool:
    """Whether ``value`` is a cache, a layer of one, or an output record: plain objects whose tensors are attributes."""
    is_named_so = type(value).__name__.endswith(_RECORD_NAMES) and hasattr(value, "__dict__")
    return is_named_so and not isinstance(value, (torch.nn.Module, type))


def is_ordinary(value: object) -> bool:
    """Whether ``value`` is an object of a class written in Python, and no module, class, function or container."""
    kind = type(value)
    written_in_python = bool(kind.__flags__ & _HEAP_TYPE) and (hasattr(value, "__dict__") or bool(_slots_of(kind)))
    return written_in_python and not isinstance(value, (torch.nn.Module, type, Tensor, *_CONTAINERS))


def attributes_of(value: object) -> dict[str, Any]:
    """The attributes that an object itself holds, in its ``__dict__`` and its slots; properties are not asked."""
    found = {}
    for name, slot in _slots_of(type(value)).items():
        try:
            found[name] = slot.__get__(value)
        except AttributeError:  # not set yet
            continue
    try:
        return {**found, **object.__getattribute__(value, "__dict__")}
    except AttributeError:
        return found


def _slots_of(kind: type) -> dict[str, Any]:
    members = {}
    for base in reversed(kind.__mro__):
        members.update({name: item for name, item in vars(base).items() if isinstance(item, MemberDescriptorType)})
    return members


def items_of(value: Any) -> list[Any]:
    """The items of a tuple, list or set, the values of a dict.

    They are asked of the base class: one with methods of its own may refuse to be measured, or walk differently.
    """
    if type(value) is tuple or type(value) is list:
        return [*value]
    if isinstance(value, OrderedDict):
        return [item for _, item in OrderedDict.items(value)]
    if isinstance(value, dict):
        return [*dict.values(value)]
    kind = next(kind for kind in _CONTAINERS if isinstance(value, kind))
    return [*kind.__iter__(value)]


def map_tensors(value: Any, change: Change, *, objects: bool = False) -> Any:
    """A copy of ``value`` in which every tensor was replaced by ``change(tensor)``; other leaves are kept.

    Classes are kept: of named tuples, dataclasses, mappings, caches. What contains itself does so again. With
    ``objects`` also any other object that holds tensors in its attributes is copied; without, it is a leaf.
    """
    return _map(value, change, _Made(objects))


def _map(value: Any, change: Change, made: _Made) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if value is None or isinstance(value, _PLAIN):
        return value
    if id(value) in made:
        return made[id(value)][1]
    if isinstance(value, tuple):
        return _map_tuple(value, change, made)
    if isinstance(value, list):
        return _map_list(value, change, made)
    if isinstance(value, (set, frozenset)):
        items = [_map(item, change, made) for item in items_of(value)]
        return value if isinstance(value, frozenset) and not items else type(value)(items)
    if isinstance(value, Mapping):
        # One that is no dict may be anything, an open file too: it is left alone where it holds no tensor.
        holds = isinstance(value, dict) or next(tensors_in(value), None) is not None
        return _map_mapping(value, change, made) if holds else value
    if dataclasses.is_dataclass(value):
        return _map_attributes(value, [field.name for field in dataclasses.fields(value)], change, made)
    if is_record(value):
        return _map_attributes(value, list(vars(value)), change, made)
    if made.objects and is_ordinary(value) and next(tensors_in(value, objects=True), None) is not None:
        return _map_object(value, change, made)
    return value


def _map_object(value: Any, change: Change, made: _Made) -> Any:
    """Another object of the class with the same attributes; no code of the class runs."""
    try:
        result = object.__new__(type(value))
    except TypeError:  # a class written in C, whose state is not in its attributes
        return value
    made[id(value)] = value, result
    slots = _slots_of(type(value))
    for name, held in attributes_of(value).items():
        changed = _map(held, change, made)
        if name in slots:
            slots[name].__set__(result, changed)
        else:
            vars(result)[name] = changed
    return result


def _map_tuple(value: tuple[Any, ...], change: Change, made: _Made) -> Any:
    items = items_of(value)
    changed = [_map(item, change, made) for item in items]
    return tuple(changed) if type(value) is tuple else tuple_like(value, changed)


def tuple_like(value: tuple[Any, ...], items: list[Any]) -> Any:
    """A tuple of ``value``'s class with other items; itself where they are the same."""
    if all(map(operator.is_, items_of(value), items)):
        return value  # a class of labels, say, whose constructor takes something else
    if isinstance(value, PackedSequence):
        # Its batch sizes are a plan, not data: torch wants them on the CPU whatever the device.
        return PackedSequence(items[0], value.batch_sizes, *items[2:])
    # A named tuple takes its fields one by one, other tuple types an iterable.
    return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)


def _map_list(value: list[Any], change: Change, made: _Made) -> list[Any]:
    result: list[Any] = [] if type(value) is list else copy.copy(value)
    made[id(value)] = value, result
    list.__setitem__(result, slice(None), [_map(item, change, made) for item in items_of(value)])
    return result


def _map_mapping(value: Mapping[Any, Any], change: Change, made: _Made) -> Any:
    # A shallow copy keeps the class (OrderedDict, a model library's output record), which a rebuilt dict would lose.
    result: Any = {} if type(value) is dict else copy.copy(value)
    if not hasattr(result, "__setitem__"):
        result = {}
    made[id(value)] = value, result
    changed = {key: _map(value[key], change, made) for key in value}
    try:
        for key, item in changed.items():
            result[key] = item
    except TypeError:  # a mapping that refuses changes: the plain dict serves as keywords just as well
        return changed
    return result


def _map_attributes(value: Any, names: list[str], change: Change, made: _Made) -> Any:
    result = copy.copy(value)
    made[id(value)] = value, result
    for name in names:
        if hasattr(value, name):
            # object.__setattr__ also reaches frozen records.
            object.__setattr__(result, name, _map(getattr(value, name), change, made))
    return result


def stored_bytes(tensor: Tensor) -> int:
    """Bytes that a tensor holds: of one that wraps others (a quantised weight), those of the others."""
    if type(tensor) is torch.nn.Parameter or type(tensor) is Tensor:
        return tensor.numel() * tensor.element_size()
    if not hasattr(tensor, "__tensor_flatten__"):
        return tensor.numel() * tensor.element_size()
    names, _ = tensor.__tensor_flatten__()
    return sum(stored_bytes(getattr(tensor, name)) for name in names)


def shapes_in(value: object) -> tuple[tuple[int, ...], ...]:
    """The shape of every tensor inside ``value``; of a jagged one the shape of what it stores, sequences end to end."""
    if type(value) is Tensor and not value.is_nested:  # by far the most common, and this runs at every module
        return (tuple(value.shape),)
    return tuple(tuple((tensor.values() if tensor.is_nested else tensor).shape) for tensor in tensors_in(value))
