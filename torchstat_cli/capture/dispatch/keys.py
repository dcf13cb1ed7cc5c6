"""One live operator call, and what tells it from another: everything that its result's metadata can depend on.

This runs for every operator of every profile, so it walks the arguments once and asks each tensor as little as it can.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from torchstat_cli.capture.dispatch.calls import Traits, argument_tensors, describe_call
from torchstat_cli.records import OpRecord
from torchstat_cli.torch_access.internals import OpOverload, dispatch_keys
from torchstat_cli.torch_access.kept import written

_NO_KEY = object()
_PLAIN = frozenset(
    (int, bool, float, complex, str, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format)
)
_QUANTIZED = frozenset((torch.quint8, torch.qint8, torch.qint32, torch.quint4x2, torch.quint2x4))
_told: dict[int, bool] = {}  # whether a tensor of these dispatch keys can be told by its metadata


@dataclass(slots=True)  # not frozen: one is made for every operator, and a frozen one takes four times as long
class Call:
    """One live operator call, handed from the tape to whoever runs it."""

    func: OpOverload
    traits: Traits  # of the operator
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    tensors: list[Tensor]  # those among the arguments, in order
    key: Any = None  # equal for calls of equal metadata; None for a call that is not remembered

    def with_arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """The same operator on other arguments."""
        return keyed_call(self.func, self.traits, args, kwargs)

    def execute(self) -> Any:
        """The result of torch's own kernel."""
        return self.func(*self.args, **self.kwargs)

    def describe(self, result: object) -> OpRecord:
        """The record of this call."""
        return describe_call(self.func, self.args, self.kwargs, result)

    def written(self) -> list[Tensor]:
        """The tensors that the call writes to."""
        return written(self.func, self.args, self.kwargs)


Outcome = tuple[OpRecord | None, Any]
"""The record and the result of a call; no record where it was decomposed into calls that have their own."""

Execute = Callable[[Call], Outcome]
"""Runs a call that needs no values."""


def keyless_call(func: OpOverload, traits: Traits, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """The call, not to be remembered."""
    return Call(func, traits, args, kwargs, argument_tensors(args, kwargs))


def keyed_call(func: OpOverload, traits: Traits, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """The call with a hashable key, equal for calls of equal metadata.

    It has none where it cannot be told by its metadata: objects of other kinds, sparse, nested and quantised tensors.
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
        return Call(func, traits, args, kwargs, tensors)
    if len(tensors) > 1:
        parts.append(_sharing(tensors))
    return Call(func, traits, args, kwargs, tensors, tuple(parts))


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
    # Other objects (generators, symbolic numbers, handles of the profiler) may never be equal to another again.
    return (type(value), value) if type(value) in _PLAIN else _NO_KEY


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
