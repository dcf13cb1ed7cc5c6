"""Images taken apart into windows, and put together again."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor

from torchstat_cli.capture.dispatch.meta_kernels.rules import plain, rule


@rule("im2col", corrects=True)
def _im2col(x: Tensor, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Any:
    """torch makes the result as large as the input and grows it where needed; it never shrinks."""
    if not plain(x) or x.dim() != 4:
        return NotImplemented
    places = [
        (size + 2 * pad - reach * (width - 1) - 1) // step + 1
        for size, width, reach, pad, step in zip(x.shape[2:], kernel, dilation, padding, stride, strict=True)
    ]
    if min(places) < 1:
        return NotImplemented
    return _grown(x, (x.shape[0], x.shape[1] * prod(kernel), prod(places)))


@rule("col2im", corrects=True)
def _col2im(x: Tensor, output_size: Any, kernel: Any, dilation: Any, padding: Any, stride: Any) -> Any:
    """The same."""
    places = [
        (size + 2 * pad - reach * (width - 1) - 1) // step + 1
        for size, width, reach, pad, step in zip(output_size, kernel, dilation, padding, stride, strict=True)
    ]
    if not plain(x) or x.dim() != 3 or x.shape[1] % prod(kernel) or x.shape[2] != prod(places):
        return NotImplemented
    return _grown(x, (x.shape[0], x.shape[1] // prod(kernel), *output_size))


def _grown(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    held = torch.empty(max(x.numel(), prod(shape)), dtype=x.dtype, device="meta")
    return held[: prod(shape)].view(shape)
