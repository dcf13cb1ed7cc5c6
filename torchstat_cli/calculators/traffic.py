"""Bytes that an operator reads and writes if nothing is fused and every distinct byte is moved once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from torchstat_cli.calculators.counting import argument, broadcast, sparse_addend, stored, tensors_of
from torchstat_cli.calculators.memory_access import (
    BAGS,
    CREATION,
    GATHERS,
    MUTATED,
    SCATTERS,
    TRAINING_ONLY,
    TRAINING_STATISTICS,
    UNTOUCHED,
    WRITE_ONLY,
)
from torchstat_cli.records import OpRecord, TensorRecord


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one operator call moves."""

    read: int = 0  # bytes
    written: int = 0  # bytes


def traffic(op: OpRecord) -> Traffic:
    """Bytes read and written by one call.

    Views and operators that hand an input back move nothing; in-place work counts both ways; an expanded tensor
    counts its storage, a tensor given twice counts once; a gather reads what it puts out, not the whole table.
    """
    packet = op.name.rpartition(".")[2]
    if "view" in op.tags or packet in UNTOUCHED:
        return Traffic()
    if packet in TRAINING_ONLY and not argument(op, "train", True):
        return Traffic()
    if packet in SCATTERS:
        return _scattered(op, packet)
    if op.outputs and (addend := sparse_addend(op)) is not None:
        places = stored(addend) * op.output.itemsize  # of the dense tensor: those where the sparse one has elements
        return Traffic(read=touched_bytes(addend) + places, written=places)
    mutated = _mutated(op, packet)
    written = [*_fresh(op), *mutated]
    if op.outputs and not written:
        return Traffic()
    return Traffic(read=_read(op, packet, mutated), written=distinct_bytes(written))


def touched_bytes(tensor: TensorRecord) -> int:
    """Distinct bytes behind one tensor: an axis of stride 0 repeats, overlapping windows share their span."""
    if not tensor.numel:
        return 0
    if tensor.nnz is not None:
        return tensor.nnz * tensor.itemsize
    pairs = list(zip(tensor.shape, tensor.stride, strict=True))
    span = 1 + sum((size - 1) * abs(stride) for size, stride in pairs)
    return min(prod(size for size, stride in pairs if stride), span) * tensor.itemsize


def distinct_bytes(tensors: Iterable[TensorRecord]) -> int:
    """Distinct bytes behind several tensors: the same window once, windows of one storage at most that storage."""
    windows: dict[int, set[TensorRecord]] = {}
    for tensor in tensors:
        windows.setdefault(tensor.storage, set()).add(tensor)
    total = 0
    for group in windows.values():
        # A storage of 0 bytes is one that capture could not see (a sparse or wrapped tensor): nothing to cap by.
        capacity = max(tensor.storage_bytes for tensor in group)
        summed = sum(map(touched_bytes, group))
        total += min(summed, capacity) if capacity else summed
    return total


def _fresh(op: OpRecord) -> list[TensorRecord]:
    given = {tensor.storage for tensor in op.inputs}
    return [output for output in op.outputs if output.storage not in given]


def _mutated(op: OpRecord, packet: str) -> list[TensorRecord]:
    """Inputs that the call writes to."""
    if packet in MUTATED:
        return [tensor for name in MUTATED[packet] for tensor in tensors_of(op, name)]
    if packet in TRAINING_STATISTICS and argument(op, "training", True):
        return [tensor for name in ("running_mean", "running_var") for tensor in tensors_of(op, name)]
    if "inplace" not in op.tags and not packet.endswith("_") and not op.overload.endswith("out"):
        return []
    given = {tensor.storage for tensor in op.inputs}
    returned = [output for output in op.outputs if output.storage in given]
    return returned or (list(tensors_of(op, "self")) if not op.outputs else [])


def _read(op: OpRecord, packet: str, mutated: list[TensorRecord]) -> int:
    if packet in CREATION:
        return 0
    if packet in BAGS:
        table = op.tensor("weight")
        return _looked_up(op, table, op.tensor("indices").numel * table.shape[-1] * table.itemsize)
    if packet in GATHERS and op.has_tensor(GATHERS[packet]):
        return _looked_up(op, op.tensor(GATHERS[packet]), sum(map(touched_bytes, _fresh(op))))
    overwritten = set(mutated) if packet in WRITE_ONLY or op.overload.endswith("out") else set()
    return distinct_bytes(tensor for tensor in op.inputs if tensor not in overwritten)


def _looked_up(op: OpRecord, table: TensorRecord, wanted: int) -> int:
    """``wanted`` bytes of the table, at most all of it, and the other inputs whole."""
    others = distinct_bytes(tensor for tensor in op.inputs if tensor is not table)
    return others + min(wanted, touched_bytes(table))


def _scattered(op: OpRecord, packet: str) -> Traffic:
    """An in-place scatter: the places it writes, and what it puts there."""
    name, accumulates = SCATTERS[packet]
    target = op.tensor("self")
    accumulates = accumulates or bool(op.arguments.get("accumulate") or op.arguments.get("reduce"))
    places = min(_places(op, name, target) * target.itemsize, touched_bytes(target))
    others = distinct_bytes(tensor for tensor in op.inputs if tensor is not target)
    return Traffic(read=others + (places if accumulates else 0), written=places)


def _places(op: OpRecord, name: str, target: TensorRecord) -> int:
    """Elements of ``target`` that are written; where a Boolean mask decides, as many as there can be."""
    given = op.tensor(name).numel if op.has_tensor(name) else 1
    indices = op.tensors("indices")
    if not indices:
        return given
    if any(index.dtype in ("bool", "uint8") for index in indices):
        return target.numel if given == 1 else given
    # values may be broadcast over the indexed places: indices broadcast together, the other axes stay whole
    chosen = prod(broadcast(*(index.shape for index in indices)))
    slots: tuple[object, ...] = op.arguments["indices"]
    kept = [size for axis, size in enumerate(target.shape) if axis >= len(slots) or slots[axis] is None]
    return chosen * prod(kept)


def allocated(op: OpRecord) -> int:
    """Bytes of the storages behind the outputs, each once and whole; a storage of an input is nothing new."""
    given = {tensor.storage for tensor in op.inputs}
    fresh = {output.storage: output.storage_bytes for output in op.outputs if output.storage not in given}
    return sum(fresh.values())
