"""Fourier transforms on the CPU, which want the axes that they run over last and in order."""

from __future__ import annotations

import torch
from torch import Tensor

from torchstat_cli.capture.kernel_steps.table import steps


@steps("_fft_c2c")
def complex_to_complex(x: Tensor, dim: list[int], normalization: int, forward: bool) -> Tensor:
    """Over all axes at once."""
    return _transformed(x, dim, tuple(x.shape), x.dtype)


@steps("_fft_r2c")
def real_to_complex(x: Tensor, dim: list[int], normalization: int, onesided: bool) -> Tensor:
    """Over all axes at once, the last of them half as long."""
    shape = list(x.shape)
    if onesided:
        shape[dim[-1]] = shape[dim[-1]] // 2 + 1
    return _transformed(x, dim, tuple(shape), x.dtype.to_complex())


@steps("_fft_c2r")
def complex_to_real(x: Tensor, dim: list[int], normalization: int, last_dim_size: int) -> Tensor:
    """Over the last axis, after a transform of its own over the others."""
    *others, last = dim
    if others:
        x = complex_to_complex(x, others, normalization, False)
    shape = list(x.shape)
    shape[last] = last_dim_size
    return _transformed(x, [last], tuple(shape), x.dtype.to_real())


def _transformed(x: Tensor, dim: list[int], shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """The input as a batch of signals, a copy unless it lies so; the result lies as that batch does."""
    axes = sorted((axis % x.dim() for axis in dim), key=x.stride, reverse=True)
    batch = sorted((axis for axis in range(x.dim()) if axis not in axes), key=x.stride, reverse=True)
    order = (*batch, *axes)
    if 0 in x.stride():
        x = x.contiguous()  # of what is repeated without memory there is no batch
    signals = x.permute(order).reshape(-1, *(x.shape[axis] for axis in axes))
    result = torch.empty([shape[axis] for axis in order], dtype=dtype, device="meta")
    del signals
    return result.permute([order.index(axis) for axis in range(x.dim())])
