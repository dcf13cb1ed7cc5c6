"""Fabricated records: what an operator would have seen, without torch."""

from __future__ import annotations

from itertools import count
from math import ceil, prod
from typing import Any

from torchstat_cli.calculators import builtin_registry
from torchstat_cli.calculators.derivation import Derived, with_names
from torchstat_cli.calculators.traffic import traffic
from torchstat_cli.records import Cost, OpRecord, TensorRecord

_STORAGES = count(1)
_ITEMSIZES = {
    "bool": 1,
    "int8": 1,
    "qint8": 1,
    "quint8": 1,
    "bfloat16": 2,
    "float16": 2,
    "float64": 8,
    "int64": 8,
    "complex64": 8,
}


def tensor(*shape: int, dtype: str = "float32", like: TensorRecord | None = None, **changes: Any) -> TensorRecord:
    """A contiguous tensor in a storage of its own, or in that of ``like``."""
    stride, strides = 1, []
    for size in reversed(shape):
        strides.append(stride)
        stride *= size
    itemsize = _ITEMSIZES.get(dtype, 4)
    storage = {"storage": next(_STORAGES), "storage_bytes": stride * itemsize}
    if like is not None:
        storage = {"storage": like.storage, "storage_bytes": like.storage_bytes}
    fields = {"shape": shape, "stride": tuple(reversed(strides)), "dtype": dtype, "itemsize": itemsize, **storage}
    return TensorRecord(**{**fields, **changes})


def make_op(
    name: str, *outputs: TensorRecord, overload: str = "default", tags: tuple[str, ...] = (), **arguments: Any
) -> OpRecord:
    """One call of an operator: its outputs by position, its arguments by schema name."""
    return OpRecord(name, overload, arguments, outputs, frozenset(tags))


def cost(name: str, *outputs: TensorRecord, **arguments: Any) -> Cost | None:
    """What the built-in registry says of such a call; it says the same where sizes remember their names."""
    op = make_op(name, *outputs, **arguments)
    found = builtin_registry().cost(op)
    named = builtin_registry().cost(with_names(op))
    assert named == found
    assert traffic(with_names(op)) == traffic(op)
    for number in (named.madds, named.flops) if named is not None else ():
        assert worked_out(number) == number
    return found


def worked_out(number: float) -> float:
    """The value of a derivation, from its leaves."""
    if not isinstance(number, Derived) or not number.operation:
        return number
    parts = [worked_out(part) for part in number.parts]
    return {
        "+": lambda: parts[0] + parts[1],
        "-": lambda: parts[0] - parts[1],
        "×": lambda: parts[0] * parts[1],
        "÷": lambda: parts[0] // parts[1],
        "^": lambda: parts[0] ** parts[1],
        "⌈÷⌉": lambda: -(-parts[0] // parts[1]),
        "negative ⌈÷⌉": lambda: -parts[0] // parts[1],
        "⌈⌉": lambda: ceil(prod(parts)),
        "negative": lambda: -parts[0],
    }[number.operation]()


def flops(name: str, *outputs: TensorRecord, **arguments: Any) -> int:
    """FLOPs of such a call, which must be known and free of MAdds."""
    found = cost(name, *outputs, **arguments)
    assert found is not None
    assert found.madds == 0
    return found.flops
