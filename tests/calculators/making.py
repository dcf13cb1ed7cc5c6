"""Fabricated records: what an operator would have seen, without torch."""

from __future__ import annotations

from itertools import count
from typing import Any

from torchstat_cli.calculators import builtin_registry
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
    """What the built-in registry says of such a call."""
    return builtin_registry().cost(make_op(name, *outputs, **arguments))


def flops(name: str, *outputs: TensorRecord, **arguments: Any) -> int:
    """FLOPs of such a call, which must be known and free of MAdds."""
    found = cost(name, *outputs, **arguments)
    assert found is not None
    assert found.madds == 0
    return found.flops
