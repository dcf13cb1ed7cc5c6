"""Find the value that a selection means among those kept: which pass, which call, which element; and stack them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from torchstat_cli.activations.runtime.gradients import GradientCell
from torchstat_cli.activations.selection.language import Index, Selector
from torchstat_cli.errors import SelectionError
from torchstat_cli.torch_access.trees import tensors_in

Call = tuple[int, Any]
"""The number of a forward pass, and what one call in it left."""


def pick(selector: Selector, calls: Sequence[Call]) -> Any:
    """The value that ``selector`` means out of the values of every call kept.

    Without an index that is the first call's of the last pass; ``name_1``, ``name[1]``, ``name[:]`` and ``name@0``
    reach the others.

    Raises:
        SelectionError: an index beyond the passes, the calls, the elements or the keys.
    """
    if selector.turns is None:
        values = [value for _, value in calls] if selector.indices[:1] == (...,) else _turns(calls)[-1]
        return _pick_call(selector, values)
    passes = _turns(calls)
    if selector.turns == "tokens":
        return _last_tokens(selector, [_pick_call(selector, values) for values in passes])
    if ":" not in selector.turns:
        return _pick_call(selector, _at_pass(selector, passes))
    start, stop = (int(text) if text else None for text in selector.turns.split(":"))
    return _stacked_if_possible([_pick_call(selector, values) for values in passes[start:stop]])


def _turns(calls: Sequence[Call]) -> list[list[Any]]:
    """The values of each pass, oldest first."""
    return [[value for _, value in group] for _, group in groupby(calls, key=lambda call: call[0])]


def _at_pass(selector: Selector, passes: Sequence[list[Any]]) -> list[Any]:
    number = int(str(selector.turns))
    if not -len(passes) <= number < len(passes):
        raise SelectionError(
            f"{selector.text!r}: there is no forward pass {number}", f"there were {len(passes)}, counted from 0"
        )
    return passes[number]


def _stacked_if_possible(values: list[Any], axis: int = 0) -> Any:
    tensors = all(isinstance(value, Tensor) for value in values)
    if values and tensors and len({(value.shape, value.dtype, value.device) for value in values}) == 1:
        return torch.stack(values, dim=axis)
    return values


def _last_tokens(selector: Selector, passes: Sequence[Any]) -> Any:
    """Of each pass the token that it computed last: one row per generated token where a pass makes one."""
    axis = 2 if selector.kind == "attn" else 1
    rows = []
    for value in passes:
        tensor = _one_tensor(selector, value)
        # (batch, tokens, …); whole numbers are token ids, (batch, tokens).
        if tensor.dim() <= axis or (tensor.dim() == 2 and tensor.is_floating_point()):
            raise SelectionError(
                f"{selector.text!r}: a value of shape {tuple(tensor.shape)} has no axis of tokens",
                "write @: instead, for what every pass computed",
            )
        rows.append(tensor.select(axis, -1))
    return _stacked_if_possible(rows, axis=axis)


def stack(selector: Selector, values: Mapping[str, Any]) -> Tensor:
    """One tensor of the values that ``selector`` picked, by name; the new first axis counts them.

    Raises:
        SelectionError: their shapes or dtypes differ, or one holds no tensor.
    """
    for name, value in values.items():
        if selector.turns is not None and isinstance(value, list):
            raise SelectionError(
                f"{selector.text!r}: {name} changed its shape from pass to pass, so they make no one tensor",
                "choose passes of one shape, such as @1:, or leave stack: out",
            )
    tensors = {name: _one_tensor(selector, value) for name, value in values.items()}
    kinds: dict[Any, str] = {}
    for name, tensor in tensors.items():
        kinds.setdefault((tuple(tensor.shape), tensor.dtype), name)
    if len(kinds) > 1:
        (one, first), (other, second) = list(kinds.items())[:2]
        shown = [f"{name} has {kind[0]} of {str(kind[1]).removeprefix('torch.')}" for kind, name in
                 ((one, first), (other, second))]  # fmt: skip
        raise SelectionError(
            f"{selector.text!r}: {shown[0]}, {shown[1]}, so they make no one tensor",
            "choose a narrower pattern, or leave stack: out",
        )
    return torch.stack(list(tensors.values()))


def _one_tensor(selector: Selector, value: Any) -> Tensor:
    """The value, or the first tensor in it: what a block hands on comes before what it remembers."""
    tensor = next(tensors_in(value), None)
    if tensor is None:
        raise SelectionError(
            f"{selector.text!r}: a value of type {type(value).__name__} holds no tensor", "select another module"
        )
    return tensor


def _pick_call(selector: Selector, calls: Sequence[Any]) -> Any:
    values = [call.value if isinstance(call, GradientCell) else call for call in calls]
    indices = list(selector.indices)
    if indices and indices[0] is ...:
        del indices[0]
        found = [_descend(selector, value, indices) for value in values]
        return _stacked_if_possible(found) if selector.stacked else found
    if len(values) > 1 and indices and isinstance(indices[0], int) and not selector.is_pattern:
        return _descend(selector, _at(selector, values, indices.pop(0)), indices)
    value = values[0]
    if value is GradientCell.PENDING:
        return value
    # A single call that returned no sequence: [0] and [-1] can only mean that call.
    if indices[:1] in ([0], [-1]) and not isinstance(value, (tuple, list, Mapping)):
        del indices[0]
    return _descend(selector, value, indices)


def _descend(selector: Selector, value: Any, indices: Sequence[Index]) -> Any:
    for index in indices:
        value = _at(selector, value, index)
    return value


def _at(selector: Selector, value: Any, index: Index) -> Any:
    if isinstance(value, Mapping):
        if index in value:
            return value[index]
        # A model library's output record counts its entries like a tuple, too.
        if isinstance(index, int) and -len(value) <= index < len(value):
            return list(value.values())[index]
        raise SelectionError(
            f"{selector.text!r}: the output has no entry {index!r}", f"it has {', '.join(map(str, value))}"
        )
    if isinstance(value, (tuple, list)):
        if isinstance(index, str) and hasattr(value, index):
            return getattr(value, index)
        if isinstance(index, int) and -len(value) <= index < len(value):
            return value[index]
        raise SelectionError(f"{selector.text!r}: there is no [{index}]", f"there are {len(value)}, counted from 0")
    if isinstance(index, str) and hasattr(value, index):
        return getattr(value, index)
    raise SelectionError(
        f"{selector.text!r}: the module ran once and returned {type(value).__name__}, which has no [{index}]",
        "leave the index out",
    )
