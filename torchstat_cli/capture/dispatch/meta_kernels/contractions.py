"""Linear layers, matrix products and convolutions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchstat_cli.capture.dispatch.meta_kernels.rules import new, per_axis, plain, rule, windows
from torchstat_cli.capture.layouts import channels_last


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


@rule("conv1d", "conv2d", "conv3d", corrects=True)
def _convolution(
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """As torch's meta kernel, but with the channels last where the real kernels put them."""
    rank = weight.dim() - 2
    if input.dim() != rank + 2 or isinstance(padding, str) or 0 in input.shape:
        return NotImplemented
    if input.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        return NotImplemented
    if bias is not None and bias.shape != weight.shape[:1]:
        return NotImplemented
    sizes = windows(
        input.shape[2:], weight.shape[2:], per_axis(stride, rank), per_axis(padding, rank), per_axis(dilation, rank)
    )
    return _images((input.shape[0], weight.shape[0], *sizes), input, weight, bias)


@rule("convolution", corrects=True)
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
    if transposed:
        return _transposed_convolution(input, weight, bias, stride, padding, output_padding, groups, dilation)
    return _convolution(input, weight, bias, stride, padding, dilation, groups)


@rule("conv_transpose1d", "conv_transpose2d.input", "conv_transpose3d.input", corrects=True)
def _transposed_convolution(
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    rank = weight.dim() - 2
    if input.dim() in (rank + 1, rank + 2) and input.shape[-rank - 1] != weight.shape[0]:
        # torch's meta kernel takes any number of channels.
        raise RuntimeError(f"expected {weight.shape[0]} channels, but got {input.shape[-rank - 1]} channels instead")
    if not _lie_last(input, weight) or input.dim() != rank + 2:
        return NotImplemented  # torch's meta kernel is right
    if 0 in input.shape or input.shape[1] != weight.shape[0] or input.shape[1] % groups:
        return NotImplemented
    channels = weight.shape[1] * groups
    settings = [per_axis(value, rank) for value in (stride, padding, output_padding, dilation)]
    if bias is not None and bias.shape != (channels,):
        return NotImplemented
    if any(more >= max(step, reach) for step, _, more, reach in zip(*settings, strict=True)):
        return NotImplemented
    sizes = tuple(
        (size - 1) * step - 2 * pad + reach * (width - 1) + more + 1
        for size, width, step, pad, more, reach in zip(input.shape[2:], weight.shape[2:], *settings, strict=True)
    )
    return _images((input.shape[0], channels, *sizes), input, weight, bias)


def _images(shape: tuple[int, ...], input: Tensor, weight: Tensor, bias: Tensor | None) -> Any:
    """A new result, its channels last if those of the input or of the weight are."""
    given = [tensor for tensor in (input, weight, bias) if tensor is not None]
    if min(shape) <= 0 or not input.is_floating_point() or any(tensor.dtype is not input.dtype for tensor in given):
        return NotImplemented
    if _lie_last(input, weight):
        order = torch.channels_last if len(shape) == 4 else torch.channels_last_3d
        return torch.empty(shape, dtype=input.dtype, device="meta", memory_format=order)
    return new(shape, input) if plain(*given) else NotImplemented


def _lie_last(input: Tensor, weight: Tensor) -> bool:
    """Whether a convolution of these works with channels last; over three axes in float64 it never does."""
    if input.dim() == 5 and input.dtype is torch.float64:
        return False
    return any(channels_last(tensor.shape, tensor.stride()) for tensor in (input, weight))
