"""Operators on nested tensors of the strided layout, which have no shape: counted as calls on what they hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from torchstat_cli.capture.dispatch.calls import describe_call, operator_name, operator_tags
from torchstat_cli.capture.dispatch.keys import Call
from torchstat_cli.records import OpRecord
from torchstat_cli.torch_access.trees import map_tensors, tensors_in


def is_strided_nested(tensor: Tensor) -> bool:
    """Whether ``tensor`` is one; the jagged layout turns its calls into calls on plain tensors by itself."""
    return tensor.is_nested and tensor.layout is torch.strided


def run_nested(call: Call) -> tuple[tuple[OpRecord, ...], Any]:
    """The result of a call with nested arguments, and a record for each tensor in them.

    A call whose result is not nested with as many parts has one record of a name that no formula knows, so that the
    totals are marked as lower bounds.
    """
    shapes = _part_shapes(call.tensors)
    result = call.execute()
    outputs = _part_shapes(tensors_in(result))
    if shapes is None or outputs is None or len(shapes) != len(outputs):
        name = f"{operator_name(call.func)} on nested tensors"
        return (OpRecord(name, call.func._overloadname, {}, (), operator_tags(call.func)),), result
    records = []
    for place in range(len(shapes)):
        part = _part(place)
        records.append(
            describe_call(
                call.func, map_tensors(call.args, part), map_tensors(call.kwargs, part), map_tensors(result, part)
            )
        )
    return tuple(records), result


def _part_shapes(tensors: Any) -> list[torch.Size] | None:
    """The shapes of the parts of the first nested tensor, if all have as many; None otherwise."""
    found = [[part.shape for part in tensor.unbind()] for tensor in tensors if is_strided_nested(tensor)]
    return found[0] if found and len({len(shapes) for shapes in found}) == 1 else None


def _part(place: int) -> Callable[[Tensor], Tensor]:
    """Takes a tensor without memory like part number ``place`` of a nested one; other tensors stay."""

    def of(tensor: Tensor) -> Tensor:
        if not is_strided_nested(tensor):
            return tensor
        part = tensor.unbind()[place]
        return torch.empty(part.shape, dtype=part.dtype, device="meta")

    return of
