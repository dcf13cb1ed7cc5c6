"""The bytes that an operator holds while it runs, beyond its arguments and results.

Under inference mode the tape sees the framework's operators whole. What a composite allocates within itself and frees
again, and what a kernel does below the dispatcher, is known by a rule for the common ones, and found by running their
parts once for the others.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import torch

from torchstat_cli.capture.cpu_kernels.convolutions import convolution_bytes
from torchstat_cli.capture.cpu_kernels.copies import matrices
from torchstat_cli.capture.cpu_kernels.onednn_recurrent import recurrent_bytes
from torchstat_cli.capture.cpu_kernels.table import held_bytes
from torchstat_cli.capture.dispatch.calls import argument_tensors, traits
from torchstat_cli.capture.dispatch.memo import Memo
from torchstat_cli.capture.kernel_steps import Kernels, steps_of
from torchstat_cli.capture.memory.parts import Parts
from torchstat_cli.records import OpRecord
from torchstat_cli.torch_access.internals import OpOverload, has_kernel
from torchstat_cli.torch_access.trees import map_tensors

_NOTHING_INSIDE = frozenset(
    f"aten.{name}"
    for name in (
        *("linear", "conv1d", "conv2d", "conv3d", "batch_norm", "softmax", "log_softmax", "embedding"),
        *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "avg_pool1d", "avg_pool2d"),
        *("flatten", "reshape", "contiguous", "to", "relu6", "selu", "max_pool1d"),
    )
)
_INDEX_BYTES = 8  # pooling keeps the position of every maximum as int64
_STATISTIC_BYTES = 4  # attention keeps the log of its row sums in float32, whatever its dtype


_Known = dict[int, tuple[OpRecord, int]]
"""By the record's id, which is safe as long as the record is kept; equal calls share theirs."""

_of_memo: WeakKeyDictionary[Memo, dict[Kernels, _Known]] = WeakKeyDictionary()
"""What is known of the records of a memo, which runs share."""

_LIMIT = 50_000  # calls known of one memo before it starts afresh


class Transients:
    """Remembers what each distinct call holds inside, beside the memo that remembers the calls.

    Args:
        memo: answers the parts of an operator, on meta tensors also where the run is real.
        kernels: whose kernels the run has, or stands for.
    """

    def __init__(self, memo: Memo, kernels: Kernels) -> None:
        self._memo, self._kernels = memo, kernels
        self._known = _of_memo.setdefault(memo, {}).setdefault(kernels, {})
        if len(self._known) >= _LIMIT:
            self._known.clear()

    def of(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], record: OpRecord) -> int:
        """Bytes inside one call."""
        known = self._known.get(id(record))
        if known is None:
            known = self._known[id(record)] = (record, self._find(func, args, kwargs, record))
        return known[1]

    def _find(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any], record: OpRecord) -> int:
        if self._kernels == "cpu":
            for of_kernel in (convolution_bytes, recurrent_bytes, held_bytes):
                known = of_kernel(record)
                if known is not None:
                    return known
        if steps_of(func, self._kernels) is not None:
            return self._by_parts(func, args, kwargs)
        if record.name in ("aten.mm", "aten.addmm"):
            return matrices(record)
        if record.name in _NOTHING_INSIDE or "view" in record.tags or _is_one_kernel(func):
            return 0
        if record.name in ("aten.layer_norm", "aten.group_norm"):
            return _statistics(record)
        if record.name in ("aten.max_pool2d", "aten.max_pool3d"):
            return record.output.numel * _INDEX_BYTES
        if record.name == "aten.scaled_dot_product_attention":
            query = record.tensor("query")
            return query.numel // query.shape[-1] * _STATISTIC_BYTES if query.numel else 0
        if "inplace" in record.tags:
            return 0
        if traits(func).data_dependent or not record.outputs:
            return 0  # its parts would ask meta tensors for values; what was known, or assumed, has answered the call
        return self._by_parts(func, args, kwargs)

    def _by_parts(self, func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
        tensors = argument_tensors(args, kwargs)
        parts = Parts(self._memo, self._kernels, self.of)
        if all(tensor.is_meta for tensor in tensors):
            return parts.bytes_inside(func, args, kwargs)
        if not all(tensor.layout is torch.strided and not tensor.is_nested for tensor in tensors):
            return 0
        args, kwargs = map_tensors((_off_device(args), _off_device(kwargs)), _without_memory)
        try:
            return parts.bytes_inside(func, args, kwargs)
        except (RuntimeError, TypeError, ValueError, IndexError):  # its parts ask for values, which only the run has
            return 0


def _without_memory(tensor: torch.Tensor) -> torch.Tensor:
    """A stand-in on meta; a number stays, as meta tensors work with those of the CPU."""
    if tensor.is_meta or not tensor.dim():
        return tensor
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


def _off_device(given: Any) -> Any:
    """The arguments with meta for whatever device they name."""
    if isinstance(given, dict):
        return {name: _off_device(value) for name, value in given.items()}
    if isinstance(given, tuple):
        return tuple(map(_off_device, given))
    return torch.device("meta") if isinstance(given, torch.device) else given


def _is_one_kernel(func: OpOverload) -> bool:
    """Whether devices run ``func`` in one piece: some composites have a kernel as well, or another overload has."""
    names = {func.name(), func.name().removesuffix(".vec")}
    return not traits(func).composite or any(map(_has_kernel, names))


def _has_kernel(name: str) -> bool:
    return bool(has_kernel(name, "CPU"))


def _statistics(record: OpRecord) -> int:
    """Mean and deviation per normalised row or group."""
    input = record.tensor("input")
    if record.name == "aten.group_norm":
        rows = input.shape[0] * int(record.arguments["num_groups"])
    else:
        width = 1
        for size in record.arguments["normalized_shape"]:
            width *= size
        rows = input.numel // width if width else 0
    return 2 * rows * input.itemsize
