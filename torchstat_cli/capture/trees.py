"""Walk and rebuild the nested values that modules take and return."""

from __future__ import annotations

import dataclasses
import operator
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence

_CONTAINERS = (tuple, list, set, frozenset, dict)
_RECORD_NAMES = ("Cache", "Layer", "Output")


def tensors_in(value: object) -> Iterator[torch.Tensor]:
    """Every tensor inside tuples, lists, mappings, dataclasses and cache-like objects, in order; each object once."""
    return _walk(value, set())


def _walk(value: object, seen: set[int]) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
        return
    if value is None or isinstance(value, (int, float, complex, str, bytes)) or id(value) in seen:
        return
    if isinstance(value, _CONTAINERS):
        children = items_of(value)
    elif isinstance(value, Mapping):
        children = list(value.values())
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        children = [getattr(value, field.name, None) for field in dataclasses.fields(value)]
    elif type(value).__name__.endswith(_RECORD_NAMES) and not isinstance(value, torch.nn.Module):
        # Caches, their layers and output records of model libraries are plain objects whose tensors are attributes.
        children = list(vars(value).values())
    else:
        return
    seen.add(id(value))
    for child in children:
        yield from _walk(child, seen)


def items_of(value: Any) -> list[Any]:
    """The items of a tuple, list or set, the values of a dict.

    They are asked of the base class: one with methods of its own may refuse to be measured, or walk differently.
    """
    if isinstance(value, OrderedDict):
        return [item for _, item in OrderedDict.items(value)]
    if isinstance(value, dict):
        return [*dict.values(value)]
    kind = next(kind for kind in _CONTAINERS if isinstance(value, kind))
    return [*kind.__iter__(value)]


def stored_bytes(tensor: torch.Tensor) -> int:
    """Bytes that a tensor holds: of one that wraps others (a quantised weight), those of the others."""
    if type(tensor) is torch.nn.Parameter or type(tensor) is torch.Tensor:
        return tensor.numel() * tensor.element_size()
    if not hasattr(tensor, "__tensor_flatten__"):
        return tensor.numel() * tensor.element_size()
    names, _ = tensor.__tensor_flatten__()
    return sum(stored_bytes(getattr(tensor, name)) for name in names)


def map_tensors(value: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """A copy of ``value`` in which every tensor was replaced by ``change(tensor)``; other leaves are kept."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, PackedSequence):
        # Its batch sizes are a plan, not data: torch wants them on the CPU whatever the device.
        order = [map_tensors(item, change) for item in (value.sorted_indices, value.unsorted_indices)]
        return PackedSequence(change(value.data), value.batch_sizes, *order)
    if isinstance(value, tuple):
        items = items_of(value)
        changed_items = [map_tensors(item, change) for item in items]
        if type(value) is tuple:
            return tuple(changed_items)
        if all(map(operator.is_, items, changed_items)):
            return value  # a class of labels, say, whose constructor takes something else
        # A named tuple takes its fields one by one, other tuple types an iterable.
        return type(value)(*changed_items) if hasattr(value, "_fields") else type(value)(changed_items)
    if type(value) is list:
        return [map_tensors(item, change) for item in value]
    if isinstance(value, dict):
        changed = {key: map_tensors(item, change) for key, item in value.items()}
        return changed if type(value) is dict else _same_mapping(value, changed)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: map_tensors(getattr(value, f.name), change) for f in dataclasses.fields(value) if f.init}
        return dataclasses.replace(value, **fields)
    return value


def _same_mapping(template: dict[Any, Any], items: dict[Any, Any]) -> Any:
    try:
        return type(template)(items)
    except TypeError:  # a mapping type with a constructor of its own: the plain dict serves as keywords just as well
        return items


def shapes_in(value: object) -> tuple[tuple[int, ...], ...]:
    """The shape of every tensor inside ``value``; of a jagged one the shape of what it stores, sequences end to end."""
    if type(value) is torch.Tensor and not value.is_nested:  # by far the most common, and this runs at every module
        return (tuple(value.shape),)
    return tuple(tuple((tensor.values() if tensor.is_nested else tensor).shape) for tensor in tensors_in(value))
