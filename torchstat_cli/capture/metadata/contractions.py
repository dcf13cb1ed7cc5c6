"""Linear layers, matrix products and convolutions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchstat_cli.capture.metadata.rules import new, per_axis, plain, rule, windows


@rule("linear")
def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    if not plain(input, weight, bias) or weight.dim() != 2 or input.dim() < 2 or input.shape[-1] != weight.shape[1]:
        return NotImplemented
    if bias is not None and bias.shape != weight.shape[:1]:
        return NotImplemented
    return new((*input.shape[:-1], weight.shape[0]), input)


@rule("mm", "bmm")
def _matrix_product(self: Tensor, other: Tensor) -> Any:
    if not (self.dtype is other.dtype and self.dtype.is_floating_point) or self.shape[-1] != other.shape[-2]:
        return NotImplemented
    if self.dim() != other.dim() or self.shape[:-2] != other.shape[:-2] or self.dim() not in (2, 3):
        return NotImplemented
    return new((*self.shape[:-1], other.shape[-1]), self)


@rule("addmm")
def _addmm(self: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Any:
    if self.dtype is not mat1.dtype or self.dim() != 1 or self.shape[0] not in (1, mat2.shape[1]) or mat1.dim() != 2:
        return NotImplemented
    return _matrix_product(mat1, mat2)


@rule("_grouped_mm", corrects=True)
def _grouped_product(self: Tensor, mat2: Tensor, offs: Any = None, bias: Any = None, out_dtype: Any = None) -> Any:
    """torch's meta kernel takes bfloat16 alone, though the real ones take float32 and float16 too."""
    if self.dtype not in (torch.float32, torch.float16) or mat2.dtype is not self.dtype or offs is None:
        return NotImplemented
    if self.dim() == 2 and mat2.dim() == 3 and self.shape[1] == mat2.shape[1]:  # rows fall into groups
        return new((self.shape[0], mat2.shape[2]), self, out_dtype)
    if self.dim() == 2 and mat2.dim() == 2 and self.shape[1] == mat2.shape[0]:  # the summed axis does
        return new((offs.shape[0], self.shape[0], mat2.shape[1]), self, out_dtype)
    return NotImplemented


@rule("conv1d", "conv2d", "conv3d")
def _convolution(
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    rank = weight.dim() - 2
    if not plain(input, weight, bias) or input.dim() != rank + 2 or isinstance(padding, str):
        return NotImplemented
    if input.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups or 0 in input.shape:
        return NotImplemented
    if bias is not None and bias.shape != weight.shape[:1]:
        return NotImplemented
    sizes = windows(
        input.shape[2:], weight.shape[2:], per_axis(stride, rank), per_axis(padding, rank), per_axis(dilation, rank)
    )
    return new((input.shape[0], weight.shape[0], *sizes), input) if min(sizes) > 0 else NotImplemented


@rule("convolution")
def _general_convolution(
    input: Tensor,
    weight: Tensor,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
) -> Any:
    return NotImplemented if transposed else _convolution(input, weight, bias, stride, padding, dilation, groups)
