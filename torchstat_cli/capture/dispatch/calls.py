"""Reduce a live operator call to an ``OpRecord``: shapes, dtypes and which tensors share memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch

from torchstat_cli.records import OpRecord, TensorRecord
from torchstat_cli.torch_access.internals import OpOverload, has_kernel
from torchstat_cli.torch_access.trees import tensors_in

_TAGS = {
    torch.Tag.pointwise: "pointwise",
    torch.Tag.nondeterministic_seeded: "nondeterministic_seeded",
    torch.Tag.dynamic_output_shape: "dynamic_output_shape",
    torch.Tag.data_dependent_output: "data_dependent_output",
}

_ON_CPU = {
    "_pack_padded_sequence": "lengths",
    "_pad_packed_sequence": "batch_sizes",
    "gru": "batch_sizes",
    "lstm": "batch_sizes",
    "rnn_relu": "batch_sizes",
    "rnn_tanh": "batch_sizes",
}
"""Operators on packed sequences, and the argument that lies on the CPU whatever the device."""


class _StorageNumbers:
    """Number storages by first appearance, so that equal calls get equal records."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def describe(self, tensor: torch.Tensor) -> TensorRecord:
        """``tensor`` as a record."""
        if tensor.is_nested and tensor.layout is torch.strided:
            tensor = tensor.values()  # it has no shape; what it stores lies end to end
        try:
            storage = tensor.untyped_storage()
        except (NotImplementedError, RuntimeError):  # sparse and opaque tensors have no storage of their own
            stored = _stored_elements(tensor)
            return TensorRecord(
                shape=tuple(tensor.shape),
                stride=_contiguous_stride(tensor.shape),
                dtype=dtype_name(tensor.dtype),
                itemsize=tensor.dtype.itemsize,
                storage=self._numbers.setdefault(-id(tensor), len(self._numbers)),
                storage_bytes=(stored or 0) * tensor.dtype.itemsize,
                nnz=stored,
            )
        return TensorRecord(
            shape=tuple(tensor.shape),
            stride=tensor.stride(),
            dtype=dtype_name(tensor.dtype),
            itemsize=tensor.dtype.itemsize,
            offset=int(tensor.storage_offset()),
            storage=self._numbers.setdefault(storage._cdata, len(self._numbers)),
            storage_bytes=storage.nbytes(),
        )


def _stored_elements(tensor: torch.Tensor) -> int | None:
    """Elements that a sparse tensor stores; None for other layouts."""
    if tensor.layout is torch.sparse_coo:
        return tensor._values().numel()
    if tensor.layout in (torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc):
        return tensor.values().numel()
    return None


def dtype_name(dtype: torch.dtype) -> str:
    """``torch.float32`` as ``float32``."""
    return str(dtype).removeprefix("torch.")


def operator_name(func: OpOverload) -> str:
    """``aten.conv2d``: namespace and packet."""
    return f"{func.namespace}.{func._opname}"


def describe_call(func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], result: object) -> OpRecord:
    """The record of one call; arguments bound to their schema names, defaults filled in."""
    storages = _StorageNumbers()
    arguments = {}
    for position, argument in enumerate(func._schema.arguments):
        if position < len(args):
            value = args[position]
        elif argument.name in kwargs:
            value = kwargs[argument.name]
        else:
            value = argument.default_value if argument.has_default_value() else None
        arguments[argument.name] = _plain(value, storages)
    known = len(storages)
    outputs = tuple(storages.describe(tensor) for tensor in tensors_in(result))
    tags = traits(func).tags
    if "inplace" not in tags and outputs and all(output.storage < known for output in outputs):
        tags |= {"view"}  # as seen: reshape, contiguous and dropout may return their input or a copy
    return OpRecord(operator_name(func), func._overloadname, arguments, outputs, tags)


def describe_tensors(arguments: object, result: object) -> tuple[tuple[TensorRecord, ...], tuple[TensorRecord, ...]]:
    """The records of every tensor among the arguments and in the result of one call."""
    storages = _StorageNumbers()
    inputs = tuple(storages.describe(tensor) for tensor in tensors_in(arguments))
    return inputs, tuple(storages.describe(tensor) for tensor in tensors_in(result))


@dataclass(frozen=True, slots=True)
class Traits:
    """What is true of every call of an operator; asked once per operator and process."""

    tags: frozenset[str]  # torch's own classification, in our words
    view: OpRecord | None  # the record of any call, for operators whose results always share their input's memory
    composite: bool  # made of other operators, into which it can be decomposed
    data_dependent: bool  # the result's shape, or a number, depends on values
    repeatable: bool  # gives the same values each time: not random
    uninitialised: bool  # gives memory as it was found: any values are as good
    mutable: bool  # writes to an argument
    on_cpu: int | None  # position of the argument that lies on the CPU whatever the device


@cache
def traits(func: OpOverload) -> Traits:
    """The traits of ``func``."""
    tags = operator_tags(func)
    composite = has_kernel(func.name(), "CompositeImplicitAutograd")
    view = OpRecord(operator_name(func), func._overloadname, {}, (), tags | {"view"})
    return Traits(
        tags=tags,
        view=view if func.is_view and not composite else None,
        composite=composite,
        data_dependent=bool(tags & {"data_dependent_output", "dynamic_output_shape"}),
        repeatable="nondeterministic_seeded" not in tags,
        uninitialised=func._opname.startswith(("empty", "new_empty")),
        mutable="inplace" in tags,
        on_cpu=_position(func, _ON_CPU.get(func._opname)),
    )


def _position(func: OpOverload, name: str | None) -> int | None:
    names = [argument.name for argument in func._schema.arguments]
    return names.index(name) if name in names else None


def argument_tensors(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[torch.Tensor]:
    """The tensors among an operator's arguments, which nest at most one list deep."""
    found = []
    for value in (*args, *kwargs.values()) if kwargs else args:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif type(value) in (list, tuple):
            found.extend(item for item in value if isinstance(item, torch.Tensor))
    return found


def operator_tags(func: OpOverload) -> frozenset[str]:
    """torch's own classification of an operator, in our words."""
    tags = {_TAGS[tag] for tag in func.tags if tag in _TAGS}
    return frozenset(tags | {"inplace"} if func._schema.is_mutable else tags)


def _plain(value: Any, storages: _StorageNumbers) -> Any:
    if isinstance(value, torch.Tensor):
        return storages.describe(value)
    if isinstance(value, (tuple, list)):
        return tuple(_plain(item, storages) for item in value)
    if isinstance(value, torch.dtype):
        return dtype_name(value)
    if isinstance(value, torch.SymInt):
        return int(value)
    if value is None or isinstance(value, (bool, int, float, complex, str)):
        return value
    unpack = getattr(value, "unpack", None) if isinstance(value, torch.ScriptObject) else None
    if unpack is not None:
        return _plain(unpack(), storages)  # the packed weight and bias of a quantised layer
    return str(value)  # devices, layouts, memory formats, generators


def _contiguous_stride(shape: Iterable[int]) -> tuple[int, ...]:
    stride, strides = 1, []
    for size in reversed(tuple(shape)):
        strides.append(stride)
        stride *= max(size, 1)
    return tuple(reversed(strides))
