"""Apply `[i]`: the i-th call of a module that ran several times, else the i-th element of its output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchstat_cli.activations.runtime.gradients import GradientCell
from torchstat_cli.activations.selection.language import Index, Selector
from torchstat_cli.errors import SelectionError


def pick(selector: Selector, calls: Sequence[Any]) -> Any:
    """The value that ``selector`` means out of the values of every call.

    Without an index that is the first call's; ``name_1``, ``name[1]`` and ``name[:]`` reach the others.

    Raises:
        SelectionError: an index beyond the calls, the elements or the keys.
    """
    values = [call.value if isinstance(call, GradientCell) else call for call in calls]
    indices = list(selector.indices)
    if indices and indices[0] is ...:
        del indices[0]
        return [_descend(selector, value, indices) for value in values]
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
