"""The kinds of objects that hold other objects, or a state of their own: how to read, compare and refill each.

An object's class may refuse changes, or know no length; what it holds is asked of its base class all the same.
"""

from __future__ import annotations

import random
import sys
from array import array
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import lru_cache, partial
from operator import is_
from types import CellType, FunctionType, MappingProxyType
from typing import Any, NamedTuple

import torch


class Kind(NamedTuple):
    """How to treat one kind of object."""

    read: Callable[[Any], list[Any]]  # what it holds, in an order of its own
    write: Callable[[Any, list[Any]], None]  # hold this instead
    holds_objects: bool = True  # else its contents are a state: compared by value, not followed


def _write_ordered(holder: Any, contents: list[Any]) -> None:
    OrderedDict.clear(holder)
    for key, value in zip(contents[::2], contents[1::2], strict=True):
        OrderedDict.__setitem__(holder, key, value)


def _write_dict(holder: Any, contents: list[Any]) -> None:
    """Without a moment in which what stays is missing, since code may be interrupted anywhere."""
    half = len(contents) // 2
    wanted = dict(zip(contents[:half], contents[half:], strict=True))
    dict.update(holder, wanted)
    for key in [key for key in dict.keys(holder) if key not in wanted]:
        dict.__delitem__(holder, key)
    if not all(map(is_, dict.keys(holder), wanted)):
        for key in wanted:
            dict.__setitem__(holder, key, dict.pop(holder, key))


def _write_set(holder: Any, contents: list[Any]) -> None:
    set.clear(holder)
    set.update(holder, contents)


def _write_deque(holder: Any, contents: list[Any]) -> None:
    deque.clear(holder)
    deque.extend(holder, contents)


def _read_cell(cell: CellType) -> list[Any]:
    try:
        return [cell.cell_contents]
    except ValueError:  # not filled yet
        return []


def _write_cell(cell: CellType, contents: list[Any]) -> None:
    if contents:
        (cell.cell_contents,) = contents
    else:
        del cell.cell_contents


def _read_function(function: FunctionType) -> list[Any]:
    return [function.__defaults__, function.__kwdefaults__, *(function.__closure__ or ())]


def _write_function(function: FunctionType, contents: list[Any]) -> None:
    function.__defaults__, function.__kwdefaults__ = contents[:2]


def _write_partial(function: partial[Any], contents: list[Any]) -> None:
    function.__setstate__((*contents, vars(function)))  # type: ignore[attr-defined]


def _read_generator(generator: torch.Generator) -> list[Any]:
    return [generator.get_state()]


def _write_generator(generator: torch.Generator, contents: list[Any]) -> None:
    generator.set_state(contents[0])


def _read_bytes(buffer: Any) -> list[Any]:
    return [bytes(buffer)]


def _write_bytes(buffer: bytearray, contents: list[Any]) -> None:
    buffer[:] = contents[0]


def _write_array(numbers: array[Any], contents: list[Any]) -> None:
    del numbers[:]
    numbers.frombytes(contents[0])


_KINDS: dict[type, Kind] = {
    OrderedDict: Kind(lambda held: [part for item in OrderedDict.items(held) for part in item], _write_ordered),
    dict: Kind(lambda held: [*dict.keys(held), *dict.values(held)], _write_dict),
    list: Kind(lambda held: [*list.__iter__(held)], lambda held, new: list.__setitem__(held, slice(None), new)),
    set: Kind(lambda held: [*set.__iter__(held)], _write_set),
    deque: Kind(lambda held: [*deque.__iter__(held)], _write_deque),
    tuple: Kind(lambda held: [*tuple.__iter__(held)], lambda held, new: None),
    frozenset: Kind(lambda held: [*frozenset.__iter__(held)], lambda held, new: None),
    partial: Kind(lambda held: [held.func, held.args, held.keywords], _write_partial),
    MappingProxyType: Kind(lambda held: [*held.keys(), *held.values()], lambda held, new: None),
    CellType: Kind(_read_cell, _write_cell),
    FunctionType: Kind(_read_function, _write_function),
    torch.Generator: Kind(_read_generator, _write_generator, holds_objects=False),
    random.Random: Kind(lambda held: [held.getstate()], lambda held, new: held.setstate(new[0]), holds_objects=False),
    bytearray: Kind(_read_bytes, _write_bytes, holds_objects=False),
    array: Kind(_read_bytes, _write_array, holds_objects=False),
}


def kind_of(value: object) -> Kind | None:
    """The kind of ``value``; None where it has none."""
    kind = type(value)
    return _KINDS.get(kind) or _kind_of_class(kind) or _numpy_kind(value)  # type: ignore[arg-type]  # hashable


@lru_cache
def _kind_of_class(kind: Any) -> Kind | None:
    return next((treatment for base, treatment in _KINDS.items() if issubclass(kind, base)), None)


def _numpy_kind(value: object) -> Kind | None:
    numpy: Any = sys.modules.get("numpy")
    if numpy is None or type(value).__module__.partition(".")[0] != "numpy":
        return None
    if isinstance(value, numpy.ndarray) and value.dtype != object:
        return _ARRAY
    if isinstance(value, numpy.random.Generator):
        return _NUMPY_GENERATOR
    return _NUMPY_STATE if isinstance(value, numpy.random.RandomState) else None


def _write_ndarray(array: Any, contents: list[Any]) -> None:
    if array.tobytes() != contents[0].tobytes():
        array[...] = contents[0]


def _write_bits(generator: Any, contents: list[Any]) -> None:
    generator.bit_generator.state = contents[0]


_ARRAY = Kind(lambda held: [held.copy()], _write_ndarray, holds_objects=False)
_NUMPY_GENERATOR = Kind(lambda held: [held.bit_generator.state], _write_bits, holds_objects=False)
_NUMPY_STATE = Kind(lambda held: [held.get_state()], lambda held, new: held.set_state(new[0]), holds_objects=False)
