"""What tells one operator call from another: everything that its result's metadata can depend on.

This runs for every operator of every profile, so it walks the arguments once and asks each tensor as little as it can.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from torchstat_cli.torch_access.internals import OpOverload, dispatch_keys

_NO_KEY = object()
_PLAIN = frozenset((int, bool, float, str, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format))
_QUANTIZED = frozenset((torch.quint8, torch.qint8, torch.qint32, torch.quint4x2, torch.quint2x4))
_told: dict[int, bool] = {}  # whether a tensor of these dispatch keys can be told by its metadata


def call_key(func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, list[Tensor]]:
    """A hashable key, equal for calls of equal metadata, and the tensors among the arguments in order.

    The key is None where a call cannot be told by its metadata: symbolic numbers, sparse, nested and quantised tensors.
    """
    parts: list[Any] = [func]
    tensors: list[Tensor] = []
    told = True
    for value in args:
        kind = type(value)
        if kind in _PLAIN:
            parts += (kind, value)  # 1, 1.0 and True are equal and hash alike
            continue
        if kind is Tensor or kind is Parameter:
            part = _tensor_key(value)
            tensors.append(value)
        else:
            part = _key(value, tensors)
        told = told and part is not _NO_KEY
        parts.append(part)
    for name, value in kwargs.items():
        part = _key(value, tensors)
        told = told and part is not _NO_KEY
        parts += (name, part)
    if not told:
        return None, tensors
    if len(tensors) > 1:
        parts.append(_sharing(tensors))
    return tuple(parts), tensors


def _key(value: Any, tensors: list[Tensor]) -> Any:
    if isinstance(value, Tensor):
        tensors.append(value)
        return _tensor_key(value)
    if isinstance(value, (list, tuple)):
        kinds = tuple(map(type, value))
        if _PLAIN.issuperset(kinds):
            return kinds, tuple(value)
        items = tuple([_key(item, tensors) for item in value])
        return _NO_KEY if _NO_KEY in items else items
    if isinstance(value, (torch.SymInt, torch.SymFloat, torch.Generator)):
        return _NO_KEY
    return type(value), value


def _tensor_key(tensor: Tensor) -> Any:
    keys = dispatch_keys(tensor).raw_repr()
    told = _told.get(keys)
    if told is None:
        strided = tensor.layout is torch.strided and not tensor.is_nested
        told = _told[keys] = strided and tensor.dtype not in _QUANTIZED
    return (tensor.shape, tensor.stride(), tensor.dtype, keys) if told else _NO_KEY


def _sharing(tensors: list[Tensor]) -> Any:
    """Which tensors share a storage, and where each lies in it; None when every tensor has its own."""
    pointers = [tensor.untyped_storage()._cdata for tensor in tensors]
    if len(set(pointers)) == len(pointers):
        return None
    return tuple(
        (pointers.index(pointer), tensor.storage_offset(), tensor.untyped_storage().nbytes())
        for pointer, tensor in zip(pointers, tensors, strict=True)
    )
