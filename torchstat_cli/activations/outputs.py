"""Copy, compact and pad what modules return."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from torchstat_cli.torch_access.transforms import is_transformed
from torchstat_cli.torch_access.trees import map_tensors, tensors_in


def copy_tensor(tensor: Tensor) -> Tensor:
    """A copy in memory of its own, contiguous where the original was dense; differentiable where the original was.

    A tensor made under ``torch.inference_mode`` becomes an ordinary one, which may later enter a training step.
    """
    if tensor.is_inference():
        with torch.inference_mode(False):
            return tensor.clone()
    return tensor.clone()


def snapshot_tensor(tensor: Tensor, *, base_is_kept: bool = False) -> Tensor:
    """A tensor that keeps today's values; on the CPU its memory is copied only when somebody writes to either one.

    torch's own copy-on-write storage sees every write that goes through torch, so nothing needs to know beforehand what
    a model will overwrite. Views that show part of a larger tensor are copied, or they would keep all of it alive;
    unless ``base_is_kept`` anyway.
    """
    lazy: Callable[[Tensor], Tensor] | None = getattr(torch, "_lazy_clone", None)
    plain = tensor.device.type == "cpu" and tensor.layout == torch.strided and not tensor.is_quantized
    if lazy is None or not plain or type(tensor) is not Tensor or tensor.is_inference():
        return copy_tensor(tensor)
    if is_narrow(tensor) and not base_is_kept:
        return copy_tensor(tensor)
    try:
        return lazy(tensor)
    except RuntimeError:
        # Memory that torch does not own (from numpy, shared between processes) cannot be shared this way.
        return copy_tensor(tensor)


def is_narrow(tensor: Tensor) -> bool:
    """Whether ``tensor`` is a view that keeps memory alive which it does not show."""
    if tensor.layout != torch.strided or tensor.is_nested or tensor.is_meta or is_transformed(tensor):
        return False
    return tensor.untyped_storage().nbytes() > tensor.numel() * tensor.element_size()


def copy_value(value: Any) -> Any:
    """``value`` with every tensor copied (:func:`copy_tensor`)."""
    return map_tensors(value, copy_tensor, objects=True)


def compact_tensor(tensor: Tensor) -> Tensor:
    """``tensor``, copied if it is a view that keeps memory alive which it does not show."""
    return copy_tensor(tensor) if is_narrow(tensor) else tensor


def compact_value(value: Any) -> Any:
    """``value`` with every tensor compacted (:func:`compact_tensor`)."""
    return map_tensors(value, compact_tensor, objects=True)


def pad_nested(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """A nested tensor of rows with shape ``(length_i, …)`` as ``(batch, longest, …)`` padded with zeros, and its mask.

    The mask has shape ``(batch, longest)``; True marks a real position.
    """
    padded = torch.nested.to_padded_tensor(tensor, 0.0)
    lengths = torch.tensor([row.size(0) for row in tensor.unbind()], device=padded.device)
    mask = torch.arange(padded.size(1), device=padded.device) < lengths[:, None]
    return padded, mask


def first_device(*values: Any) -> torch.device | None:
    """The device of the first tensor in ``values``, None where there is none."""
    tensor = next((tensor for value in values for tensor in tensors_in(value)), None)
    return None if tensor is None else tensor.device
