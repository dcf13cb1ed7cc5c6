"""Swap tensors for stand-ins for the length of a dummy run: twins on meta, or copies.

What is swapped is all that the run can reach: parameters, buffers, tensors on helper objects, in caches and in inputs.
The caller puts everything back (``untouched``).
"""

from __future__ import annotations

from collections.abc import Mapping
from weakref import ref

import torch
from torch import Tensor, nn

from torchstat_cli.capture.values.store import ValueStore
from torchstat_cli.torch_access.reach import Reach, replace_tensors


def put_on_meta(reach: Reach, store: ValueStore, lent: list[ref[Tensor]] | None = None) -> dict[int, int]:
    """Replace every tensor by its meta twin; ties stay ties, small tensors keep known values.

    No memory is copied or touched.

    Args:
        reach: of the run.
        store: what is known beside meta tensors.
        lent: gets a reference to every twin.

    Returns:
        The id of every twin, by the id of the original.
    """
    replace_tensors(reach, store.stand_in)
    twins = store.stand_ins()
    if lent is not None:
        lent.extend(map(ref, twins.values()))
    return {original: id(twin) for original, twin in twins.items()}


def copy_state(reach: Reach) -> None:
    """Replace every tensor but parameters by a copy, in which running statistics and caches may move.

    Tensors that share memory share the copy of it.
    """
    copies: dict[int, Tensor] = {}
    storages: dict[int, torch.UntypedStorage] = {}

    def copy(tensor: Tensor) -> Tensor:
        if isinstance(tensor, nn.Parameter):
            return tensor
        if id(tensor) not in copies:
            copies[id(tensor)] = _copied(tensor, storages)
        return copies[id(tensor)]

    replace_tensors(reach, copy)


def _copied(tensor: Tensor, storages: dict[int, torch.UntypedStorage]) -> Tensor:
    if type(tensor) is not Tensor or tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
        return tensor.clone()
    storage = tensor.untyped_storage()
    if storage._cdata not in storages:
        storages[storage._cdata] = storage.clone()
    copied = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    with torch.no_grad():
        copied.set_(storages[storage._cdata], tensor.storage_offset(), tensor.size(), tensor.stride())
    return copied.requires_grad_(tensor.requires_grad)


def copy_parameters(reach: Reach, twins: Mapping[int, int]) -> dict[int, int]:
    """Replace every parameter that is no twin yet by a copy, which gradients and updates then happen to.

    Args:
        reach: of the run.
        twins: the id of every stand-in so far, by the id of the original.

    Returns:
        ``twins`` and the copies.
    """
    standing_in = set(twins.values())
    copies: dict[int, nn.Parameter] = {}

    def copy(tensor: Tensor) -> Tensor:
        if not isinstance(tensor, nn.Parameter) or id(tensor) in standing_in:
            return tensor
        if id(tensor) not in copies:
            copies[id(tensor)] = nn.Parameter(tensor.detach().clone(), requires_grad=tensor.requires_grad)
            standing_in.add(id(copies[id(tensor)]))
        return copies[id(tensor)]

    replace_tensors(reach, copy)
    return {**twins, **{original: id(copied) for original, copied in copies.items()}}
