"""What tells one operator call from another: everything that its result's metadata can depend on.

This runs for every operator of every profile, so it walks the arguments once and asks each tensor as little as it can.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.nn import Parameter

_NO_KEY = object()
_PLAIN = frozenset((int, bool, float, str, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format))
_QUANTIZED = frozenset((torch.quint8, torch.qint8, torch.qint32, torch.quint4x2, torch.quint2x4))
_dispatch_keys = torch._C._dispatch_keys  # device, layout and what is resolved only when asked (conj, neg), in one


def call_key(func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, list[Tensor]]:
    """A hashable key, equal for calls of equal metadata, and the tensors among the arguments in order.

    The key is None where a call cannot be told by its metadata: symbolic numbers, sparse, nested and quantised tensors.
    """
    parts: list[Any] = [func]
    tensors: list[Tensor] = []
    for value in args:
        kind = type(value)
        if kind is Tensor or kind is Parameter:
            parts.append(_tensor_key(value))
            tensors.append(value)
        elif kind in _PLAIN:
            parts += (kind, value)  # 1, 1.0 and True are equal and hash alike
        else:
            parts.append(_key(value, tensors))
    for name, value in kwargs.items():
        parts += (name, _key(value, tensors))
    if _NO_KEY in parts:
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
    dtype = tensor.dtype
    if tensor.layout is not torch.strided or tensor.is_nested or dtype in _QUANTIZED:
        return _NO_KEY
    return tensor.shape, tensor.stride(), dtype, _dispatch_keys(tensor).raw_repr()


def _sharing(tensors: list[Tensor]) -> Any:
    """Which tensors share a storage, and where each lies in it; None when every tensor has its own."""
    pointers = [tensor.untyped_storage()._cdata for tensor in tensors]
    if len(set(pointers)) == len(pointers):
        return None
    return tuple(
        (pointers.index(pointer), tensor.storage_offset(), tensor.untyped_storage().nbytes())
        for pointer, tensor in zip(pointers, tensors, strict=True)
    )
