"""Pooling windows, means and sums."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from torchstat_cli.capture.dispatch.meta_kernels.rules import new, per_axis, plain, rule, windows


@rule("max_pool2d")
def _max_pool2d(
    self: Tensor, kernel_size: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Any:
    if not plain(self) or self.dim() != 4 or ceil_mode:
        return NotImplemented
    kernel = per_axis(kernel_size, 2)
    steps = per_axis(stride, 2) if stride not in ((), []) else kernel
    return _pooled(self, kernel, steps, per_axis(padding, 2), per_axis(dilation, 2))


@rule("avg_pool2d")
def _avg_pool2d(
    self: Tensor, kernel_size: Any, stride: Any = (), padding: Any = 0, ceil_mode: bool = False, *rest: Any
) -> Any:
    return _max_pool2d(self, kernel_size, stride, padding, 1, ceil_mode)


def _pooled(self: Tensor, kernel: Any, steps: Any, padding: Any, dilation: Any) -> Any:
    if min(*kernel, *steps, *dilation) <= 0 or min(padding) < 0:
        return NotImplemented
    sizes = windows(self.shape[2:], kernel, steps, padding, dilation)
    if min(sizes) <= 0 or any(2 * pad > width for pad, width in zip(padding, kernel, strict=True)):
        return NotImplemented
    return new((*self.shape[:2], *sizes), self)


@rule("adaptive_avg_pool2d")
def _adaptive_avg_pool2d(self: Tensor, output_size: Any) -> Any:
    if not plain(self) or self.dim() != 4 or 0 in self.shape or len(output_size) != 2:
        return NotImplemented
    return new((*self.shape[:2], *output_size), self)


@rule("mean.dim", "sum.dim_IntList")
def _reduced(self: Tensor, dim: Any, keepdim: bool = False, *, dtype: Any = None) -> Any:
    if not plain(self) or not dim or dtype is not None or 0 in self.shape:
        return NotImplemented  # of an empty result torch gives other strides on meta than for real
    axes = {axis % self.dim() for axis in dim if -self.dim() <= axis < self.dim()}
    if len(axes) != len(dim):
        return NotImplemented
    sizes = enumerate(self.shape)
    return new(tuple(1 if axis in axes else size for axis, size in sizes if keepdim or axis not in axes), self)
