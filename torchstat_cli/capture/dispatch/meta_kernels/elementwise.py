"""One number in, one number out: activations, arithmetic, comparisons."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchstat_cli.capture.dispatch.meta_kernels.rules import new, plain, rule

_UNARY = """
    relu relu6 gelu silu mish sigmoid tanh exp log log1p sqrt rsqrt neg abs sin cos erf square hardswish hardsigmoid
    hardtanh leaky_relu elu selu softplus floor ceil reciprocal
""".split()  # noqa: SIM905  (a table of words reads better than a list of strings)


@rule(
    *_UNARY,
    "pow.Tensor_Scalar",
    "clamp_min",
    "mul.Scalar",
    "add.Scalar",
    "div.Scalar",
    "sub.Scalar",
    "rsub.Scalar",
)
def _unary(self: Tensor, *scalars: Any, **options: Any) -> Any:
    values = (*scalars, *options.values())
    if not plain(self) or not all(value is None or isinstance(value, (bool, int, float, str)) for value in values):
        return NotImplemented
    return new(self.shape, self)


@rule("clamp")
def _clamp(self: Tensor, min: Any = None, max: Any = None) -> Any:
    return NotImplemented if min is None and max is None else _unary(self, min, max)


@rule("clamp_")
def _clamp_in_place(self: Tensor, min: Any = None, max: Any = None) -> Any:
    return NotImplemented if min is None and max is None else _unary_in_place(self, min, max)


@rule("add.Tensor", "sub.Tensor", "mul.Tensor", "div.Tensor", "maximum", "minimum")
def _binary(self: Tensor, other: Tensor | float, *, alpha: float = 1) -> Any:
    if isinstance(other, (int, float)):
        return _unary(self)
    if not isinstance(alpha, (int, float)):
        return NotImplemented
    return new(_broadcast(self, other), self) if plain(self, other) else NotImplemented


@rule("eq.Scalar", "ne.Scalar", "lt.Scalar", "le.Scalar", "gt.Scalar", "ge.Scalar")
def _compare_scalar(self: Tensor, other: float) -> Any:
    return new(self.shape, self, torch.bool) if plain(self) else NotImplemented


@rule("eq.Tensor", "ne.Tensor", "lt.Tensor", "le.Tensor", "gt.Tensor", "ge.Tensor")
def _compare(self: Tensor, other: Tensor) -> Any:
    return new(_broadcast(self, other), self, torch.bool) if plain(self, other) else NotImplemented


@rule(
    *(f"{name}_" for name in _UNARY if name != "softplus"),
    "add_.Scalar",
    "mul_.Scalar",
    "div_.Scalar",
    "sub_.Scalar",
    "zero_",
)
def _unary_in_place(self: Tensor, *scalars: Any, **options: Any) -> Any:
    if not all(value is None or isinstance(value, (bool, int, float, str)) for value in (*scalars, *options.values())):
        return NotImplemented
    return self if self.dtype.is_floating_point else NotImplemented


@rule("add_.Tensor", "sub_.Tensor", corrects=True)
def _sum_in_place(self: Tensor, other: Tensor | float, *, alpha: float = 1) -> Any:
    if isinstance(other, Tensor) and other.layout is torch.sparse_coo and self.layout is torch.strided:
        # torch's kernel sorts the elements, whose places are unknown on meta.
        return self if self.shape == other.shape else NotImplemented
    tensors = [value for value in (self, other) if isinstance(value, Tensor)]
    if any(tensor.layout is not torch.strided or tensor.is_nested or tensor.is_quantized for tensor in tensors):
        return NotImplemented
    return _binary_in_place(self, other, alpha=alpha)


@rule("mul_.Tensor", "div_.Tensor")
def _binary_in_place(self: Tensor, other: Tensor | float, *, alpha: float = 1) -> Any:
    if not plain(self, other if isinstance(other, Tensor) else None):
        return NotImplemented
    if isinstance(other, Tensor) and _broadcast(self, other) != self.shape:
        return NotImplemented
    return self


def _broadcast(one: Tensor, other: Tensor) -> tuple[int, ...]:
    """The common shape; ValueError where there is none."""
    if one.shape == other.shape:
        return one.shape
    rank = max(one.dim(), other.dim())
    left = (1,) * (rank - one.dim()) + tuple(one.shape)
    right = (1,) * (rank - other.dim()) + tuple(other.shape)
    shape = tuple(b if a == 1 else a for a, b in zip(left, right, strict=True))
    if any(size not in (1, wanted) for side in (left, right) for size, wanted in zip(side, shape, strict=True)):
        raise ValueError("shapes do not broadcast")
    return shape
