"""Swap a model's tensors for stand-ins for the length of a dummy run: meta twins, or copies of the buffers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from torchstat_cli.capture.leaves import loose_values
from torchstat_cli.capture.values import KnownValues
from torchstat_cli.torch_access.trees import items_of, map_tensors


def put_on_meta(modules: Iterable[nn.Module], values: KnownValues) -> dict[int, int]:
    """Replace every tensor that ``modules`` hold by its meta twin; ties stay ties, small buffers keep known values.

    The caller restores the attributes (``untouched``). No memory is copied or touched.

    Returns:
        The id of every twin of a parameter or buffer, by the id of the original.
    """
    twins: dict[int, int] = {}

    def twin(tensor: Tensor) -> Tensor:
        if tensor.is_meta:
            return tensor
        stand_in = values.stand_in(tensor)
        twins[id(tensor)] = id(stand_in)
        return stand_in

    _replace_tensors(modules, twin)
    return twins


def copy_buffers(modules: Iterable[nn.Module]) -> None:
    """Replace every buffer by a copy, in which running statistics may move; the caller restores the attributes."""
    for module in modules:
        if not isinstance(module, torch.jit.ScriptModule):
            for name, buffer in module._buffers.items():
                module._buffers[name] = None if buffer is None else buffer.clone()


def copy_parameters(modules: Iterable[nn.Module], twins: Mapping[int, int]) -> dict[int, int]:
    """Replace every parameter that is no twin yet by a copy, which gradients and updates then happen to.

    Args:
        modules: whose parameters; the caller restores their attributes.
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

    _replace_tensors(modules, copy)
    return {**twins, **{original: id(copied) for original, copied in copies.items()}}


def _replace_tensors(modules: Iterable[nn.Module], change: Callable[[Tensor], Tensor]) -> None:
    for module in modules:
        if isinstance(module, torch.jit.ScriptModule):
            continue  # its tensors live in C++; the tape moves them to meta where they meet a meta tensor
        for registry in (module._parameters, module._buffers):
            for name, tensor in registry.items():
                if tensor is not None:
                    registry[name] = change(tensor)  # type: ignore[assignment]
        # Tensors held outside the registries: anchors, caches, an RNN's flat list of weights.
        for name, value in loose_values(module):
            if _holds_tensor(value):
                vars(module)[name] = map_tensors(value, change)


def _holds_tensor(value: Any) -> bool:
    if isinstance(value, Tensor):
        return True
    return isinstance(value, (list, tuple)) and any(map(_holds_tensor, items_of(value)))
