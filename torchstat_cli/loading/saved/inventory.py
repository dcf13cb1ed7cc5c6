"""From named entries of a file to an inventory of weights: quantized ones joined, buffers known by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import NamedTuple

from torchstat_cli.records.operators import Shape
from torchstat_cli.records.weights import StoredTensor, Weights
from torchstat_cli.torch_access.packed_weights import Part, joined_weights

_BUFFERS = ("running_mean", "running_var", "num_batches_tracked", "position_ids", "inv_freq", "attn_mask_buffer")
"""Last parts of names that only buffers have: a file does not say which tensors were parameters."""


class Entry(NamedTuple):
    """One tensor of a file."""

    shape: Shape
    dtype: str
    nbytes: int


def inventory(
    path: str, kind: str, entries: Mapping[str, Entry], read: Callable[[str], bytes], tied: tuple[str, ...] = ()
) -> Weights:
    """What a file holds.

    Args:
        path: as the user wrote it.
        kind: of file.
        entries: its tensors by name, each distinct one once.
        read: the bytes of a small tensor, for shapes that quantized weights keep there.
        tied: further names of the tensors.
    """
    parts = {name: Part(entry.shape, entry.dtype, entry.nbytes) for name, entry in entries.items()}
    joined = joined_weights(parts, read)
    inside = {name for weight in joined for name in weight.parts}
    tensors = [
        StoredTensor(name, entry.shape, entry.dtype, prod(entry.shape), entry.nbytes, _is_buffer(name))
        for name, entry in entries.items()
        if name not in inside
    ]
    packed = [
        StoredTensor(weight.name, weight.shape, weight.dtype, weight.numel, weight.nbytes, packing=weight.packing)
        for weight in joined
    ]
    order = {name: place for place, name in enumerate(entries)}
    first = {weight.name: min(order[name] for name in weight.parts) for weight in joined}
    everything = sorted([*tensors, *packed], key=lambda tensor: first.get(tensor.name, order.get(tensor.name, 0)))
    return Weights(path, kind, tuple(everything), tied)


def _is_buffer(name: str) -> bool:
    return name.rpartition(".")[2] in _BUFFERS
