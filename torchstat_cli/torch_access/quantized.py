"""What a live quantized tensor stands for, and the bytes that it really holds."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

import torch
from torch import Tensor

from torchstat_cli.torch_access.trees import stored_bytes


def raw_bytes(tensor: Tensor) -> bytes:
    """What a small tensor holds; nothing on meta."""
    if tensor.is_meta:
        return b""
    return bytes(tensor.detach().cpu().contiguous().view(torch.uint8).flatten().tolist())


def amounts(tensor: Tensor) -> tuple[int, int]:
    """Elements that a tensor of a class of its own stands for, and bytes that it holds with its scales.

    bitsandbytes packs two elements into a byte and keeps shape and scales in ``quant_state``, or with 8 bits scales in
    ``SCB``. Tensors that wrap others (torchao) have the shape that they stand for.
    """
    state = getattr(tensor, "quant_state", None)
    shape = getattr(state, "shape", None)
    if shape is not None:
        return prod(shape), stored_bytes(tensor) + sum(map(stored_bytes, _tensors_of(state)))
    scales = getattr(tensor, "SCB", None)
    extra = stored_bytes(scales) if isinstance(scales, Tensor) else 0
    return tensor.numel(), stored_bytes(tensor) + extra


def _tensors_of(state: Any) -> Iterator[Tensor]:
    """The scales of a quant state, and of the state by which they are quantized themselves."""
    for value in vars(state).values():
        if isinstance(value, Tensor):
            yield value
    nested = getattr(state, "state2", None)
    if nested is not None:
        yield from _tensors_of(nested)
