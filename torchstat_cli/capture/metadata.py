"""Metadata rules of our own for the most common operators, equal to torch's meta kernels and far cheaper.

torch's Python meta kernels cost tens of microseconds per call, and the first of them pulls in the compiler stack, about
a second. A rule answers only the plain case (contiguous inputs of one floating dtype) and leaves everything else, errors
included, to torch by returning ``NotImplemented``. The tests hold every rule against torch's own kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

Rule = Callable[..., Any]
_RULES: dict[str, Rule] = {}


def infer(func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of ``func`` on meta tensors by a rule of ours, or ``NotImplemented``."""
    rule = _RULES.get(func.name())
    if rule is None:
        return NotImplemented
    try:
        return rule(*args, **kwargs)
    except (TypeError, IndexError, ValueError, AttributeError, ZeroDivisionError):
        return NotImplemented  # not the plain case; torch's kernel decides, and words the error if it is one


def _rule(*names: str) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        for name in names:
            _RULES[f"aten::{name}"] = rule
        return rule

    return register


def _new(shape: tuple[int, ...], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    return torch.empty(shape, dtype=dtype or like.dtype, device="meta")


def _plain(*tensors: Tensor | None) -> bool:
    """Contiguous, and of one floating dtype."""
    given = [tensor for tensor in tensors if tensor is not None]
    dtype = given[0].dtype
    return dtype.is_floating_point and all(t.dtype is dtype and _contiguous(t) for t in given)


def _contiguous(tensor: Tensor) -> bool:
    """Contiguous, with the strides of a new tensor: axes of one element may have others, which kernels keep."""
    return tensor.is_contiguous() and _usual_strides(tensor)


def _usual_strides(tensor: Tensor) -> bool:
    expected = 1
    for size, stride in zip(reversed(tensor.shape), reversed(tensor.stride()), strict=True):
        if stride != expected:
            return False
        expected *= max(size, 1)
    return True


# --- elementwise -----------------------------------------------------------------------------------------------------

_UNARY = ["relu", "relu6", "gelu", "silu", "mish", "sigmoid", "tanh", "exp", "log", "log1p", "sqrt", "rsqrt", "neg", "abs", "sin", "cos", "erf", "square", "hardswish", "hardsigmoid", "hardtanh", "leaky_relu", "elu", "selu", "softplus", "floor", "ceil", "reciprocal"]


@_rule(
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
    if not _plain(self) or not all(value is None or isinstance(value, (bool, int, float, str)) for value in values):
        return NotImplemented
    return _new(self.shape, self)


@_rule("clamp")
def _clamp(self: Tensor, min: Any = None, max: Any = None) -> Any:
    return NotImplemented if min is None and max is None else _unary(self, min, max)


@_rule("clamp_")
def _clamp_in_place(self: Tensor, min: Any = None, max: Any = None) -> Any:
    return NotImplemented if min is None and max is None else _unary_in_place(self, min, max)


@_rule("add.Tensor", "sub.Tensor", "mul.Tensor", "div.Tensor", "maximum", "minimum")
def _binary(self: Tensor, other: Tensor | float, *, alpha: float = 1) -> Any:
    if isinstance(other, (int, float)):
        return _unary(self)
    if not isinstance(alpha, (int, float)):
        return NotImplemented
    return _new(_broadcast(self, other), self) if _plain(self, other) else NotImplemented


@_rule("eq.Scalar", "ne.Scalar", "lt.Scalar", "le.Scalar", "gt.Scalar", "ge.Scalar")
def _compare_scalar(self: Tensor, other: float) -> Any:
    return _new(self.shape, self, torch.bool) if _plain(self) else NotImplemented


@_rule("eq.Tensor", "ne.Tensor", "lt.Tensor", "le.Tensor", "gt.Tensor", "ge.Tensor")
def _compare(self: Tensor, other: Tensor) -> Any:
    return _new(_broadcast(self, other), self, torch.bool) if _plain(self, other) else NotImplemented


@_rule(*(f"{name}_" for name in _UNARY), "add_.Scalar", "mul_.Scalar", "div_.Scalar", "sub_.Scalar", "zero_")
def _unary_in_place(self: Tensor, *scalars: Any, **options: Any) -> Any:
    if not all(value is None or isinstance(value, (bool, int, float, str)) for value in (*scalars, *options.values())):
        return NotImplemented
    return self if self.dtype.is_floating_point else NotImplemented


@_rule("add_.Tensor", "sub_.Tensor", "mul_.Tensor", "div_.Tensor")
def _binary_in_place(self: Tensor, other: Tensor | float, *, alpha: float = 1) -> Any:
    if not _plain(self, other if isinstance(other, Tensor) else None):
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


# --- contractions ----------------------------------------------------------------------------------------------------


@_rule("linear")
def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    if not _plain(input, weight, bias) or weight.dim() != 2 or input.dim() < 2 or input.shape[-1] != weight.shape[1]:
        return NotImplemented
    if bias is not None and bias.shape != weight.shape[:1]:
        return NotImplemented
    return _new((*input.shape[:-1], weight.shape[0]), input)


@_rule("mm", "bmm")
def _matrix_product(self: Tensor, other: Tensor) -> Any:
    if not (self.dtype is other.dtype and self.dtype.is_floating_point) or self.shape[-1] != other.shape[-2]:
        return NotImplemented
    if self.dim() != other.dim() or self.shape[:-2] != other.shape[:-2] or self.dim() not in (2, 3):
        return NotImplemented
    return _new((*self.shape[:-1], other.shape[-1]), self)


@_rule("addmm")
def _addmm(self: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Any:
    if self.dtype is not mat1.dtype or self.dim() != 1 or self.shape[0] not in (1, mat2.shape[1]) or mat1.dim() != 2:
        return NotImplemented
    return _matrix_product(mat1, mat2)


@_rule("conv1d", "conv2d", "conv3d")
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
    if not _plain(input, weight, bias) or input.dim() != rank + 2 or isinstance(padding, str):
        return NotImplemented
    if input.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups or 0 in input.shape:
        return NotImplemented
    if bias is not None and bias.shape != weight.shape[:1]:
        return NotImplemented
    sizes = _windows(
        input.shape[2:], weight.shape[2:], _per_axis(stride, rank), _per_axis(padding, rank), _per_axis(dilation, rank)
    )
    return _new((input.shape[0], weight.shape[0], *sizes), input) if min(sizes) > 0 else NotImplemented


@_rule("convolution")
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


def _per_axis(value: Any, rank: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * rank if len(values) == 1 else values


def _windows(
    sizes: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[int, ...]:
    """Positions of a sliding window per axis."""
    return tuple(
        (size + 2 * pad - reach * (width - 1) - 1) // step + 1
        for size, width, step, pad, reach in zip(sizes, kernel, stride, padding, dilation, strict=True)
    )


@_rule("_grouped_mm")
def _grouped_product(self: Tensor, mat2: Tensor, offs: Any = None, bias: Any = None, out_dtype: Any = None) -> Any:
    """torch's meta kernel takes bfloat16 alone, though the real ones take float32 and float16 too."""
    if self.dtype not in (torch.float32, torch.float16) or mat2.dtype is not self.dtype or offs is None:
        return NotImplemented
    if self.dim() == 2 and mat2.dim() == 3 and self.shape[1] == mat2.shape[1]:  # rows fall into groups
        return _new((self.shape[0], mat2.shape[2]), self, out_dtype)
    if self.dim() == 2 and mat2.dim() == 2 and self.shape[1] == mat2.shape[0]:  # the summed axis does
        return _new((offs.shape[0], self.shape[0], mat2.shape[1]), self, out_dtype)
    return NotImplemented


@_rule("scaled_dot_product_attention")
def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **options: Any,
) -> Any:
    """The layout that the fused kernels give, the query's; torch's meta kernel lays out what the plain form would."""
    if not query.dtype.is_floating_point or any(t.dtype is not query.dtype or t.dim() != 4 for t in (key, value)):
        return NotImplemented
    if query.dim() != 4 or key.shape[:3] != value.shape[:3] or query.shape[0] != key.shape[0]:
        return NotImplemented
    grouped = bool(options.get("enable_gqa")) and query.shape[1] % key.shape[1] == 0
    if query.shape[3] != key.shape[3] or (query.shape[1] != key.shape[1] and not grouped):
        return NotImplemented
    if attn_mask is not None and not _masks(attn_mask, (*query.shape[:3], key.shape[2])):
        return NotImplemented
    if any(t.stride(3) != 1 for t in (query, key, value)) or 0 in (*query.shape, *key.shape):
        return NotImplemented  # not fused
    if dropout_p == 0 and value.shape[3] == query.shape[3] and (attn_mask is None or attn_mask.dim() in (2, 4)):
        return _like(query)
    return _new((*query.shape[:3], value.shape[3]), query)


def _like(tensor: Tensor) -> Tensor:
    """A new tensor with the strides of ``tensor`` where it is dense; torch's own ``empty_like`` on meta may change some."""
    by_stride = sorted(range(tensor.dim()), key=tensor.stride, reverse=True)
    if tensor.permute(by_stride).is_contiguous():
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    return torch.empty_like(tensor)


def _masks(mask: Tensor, scores: tuple[int, ...]) -> bool:
    """Whether ``mask`` broadcasts over the scores."""
    sizes = zip(reversed(mask.shape), reversed(scores), strict=False)
    return 2 <= mask.dim() <= 4 and all(size in (1, wanted) for size, wanted in sizes)


@_rule("lstm.input")
def _lstm(
    input: Tensor,
    hx: Any,
    params: Any,
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> Any:
    hidden, cell = hx
    output = _recurrent_output(input, hidden, params, has_biases, num_layers, bidirectional, batch_first)
    if cell.shape != hidden.shape or not _plain(hidden, cell):
        return NotImplemented
    return output, _new(hidden.shape, hidden), _new(cell.shape, cell)


@_rule("gru.input", "rnn_tanh.input", "rnn_relu.input")
def _gru(
    input: Tensor,
    hx: Tensor,
    params: Any,
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> Any:
    output = _recurrent_output(input, hx, params, has_biases, num_layers, bidirectional, batch_first)
    return output, _new(hx.shape, hx)


def _recurrent_output(
    input: Tensor, hidden: Tensor, params: Any, has_biases: bool, num_layers: int, bidirectional: bool, batch_first: bool
) -> Tensor:
    directions = num_layers * (2 if bidirectional else 1)
    if len(params) != directions * (4 if has_biases else 2) or hidden.shape[0] != directions:
        raise ValueError("projections, or too many or few weights")
    if not _plain(hidden, *params) or input.dim() != 3 or input.shape[2] != params[0].shape[1]:
        raise ValueError("not the plain case")
    steps, batch = (input.shape[1], input.shape[0]) if batch_first else (input.shape[0], input.shape[1])
    if hidden.dim() != 3 or hidden.shape[1] != batch:
        raise ValueError("not the plain case")
    output = _new((steps, batch, hidden.shape[2] * (2 if bidirectional else 1)), input)
    return output.transpose(0, 1) if batch_first else output


# --- normalisation, softmax, pooling, reductions -----------------------------------------------------------------------


@_rule("batch_norm")
def _batch_norm(
    input: Tensor, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool, *rest: Any
) -> Any:
    channels = input.shape[1:2]
    vectors = [tensor for tensor in (weight, bias, running_mean, running_var) if tensor is not None]
    if not _plain(input) or any(t.shape != channels for t in vectors):
        return NotImplemented
    if 0 in input.shape or (not training and (running_mean is None or running_var is None)):
        return NotImplemented
    return _new(input.shape, input)


@_rule("layer_norm")
def _layer_norm(input: Tensor, normalized_shape: Any, weight: Any = None, bias: Any = None, *rest: Any) -> Any:
    shape = tuple(normalized_shape)
    if not _plain(input, weight, bias) or input.shape[input.dim() - len(shape) :] != shape:
        return NotImplemented
    if any(tensor is not None and tensor.shape != shape for tensor in (weight, bias)):
        return NotImplemented
    return _new(input.shape, input)


@_rule("group_norm")
def _group_norm(input: Tensor, num_groups: int, weight: Any = None, bias: Any = None, *rest: Any) -> Any:
    if not _plain(input, weight, bias) or input.shape[1] % num_groups:
        return NotImplemented
    if any(tensor is not None and tensor.shape != input.shape[1:2] for tensor in (weight, bias)):
        return NotImplemented
    return _new(input.shape, input)


@_rule("softmax.int", "log_softmax.int")
def _softmax(self: Tensor, dim: int, dtype: Any = None) -> Any:
    if not _plain(self) or not -self.dim() <= dim < self.dim():
        return NotImplemented
    return _new(self.shape, self, dtype)


@_rule("max_pool2d")
def _max_pool2d(
    self: Tensor, kernel_size: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Any:
    if not _plain(self) or self.dim() != 4 or ceil_mode:
        return NotImplemented
    kernel = _per_axis(kernel_size, 2)
    steps = _per_axis(stride, 2) if stride not in ((), []) else kernel
    return _pooled(self, kernel, steps, _per_axis(padding, 2), _per_axis(dilation, 2))


@_rule("avg_pool2d")
def _avg_pool2d(
    self: Tensor, kernel_size: Any, stride: Any = (), padding: Any = 0, ceil_mode: bool = False, *rest: Any
) -> Any:
    return _max_pool2d(self, kernel_size, stride, padding, 1, ceil_mode)


def _pooled(self: Tensor, kernel: Any, steps: Any, padding: Any, dilation: Any) -> Any:
    if min(*kernel, *steps, *dilation) <= 0 or min(padding) < 0:
        return NotImplemented
    sizes = _windows(self.shape[2:], kernel, steps, padding, dilation)
    if min(sizes) <= 0 or any(2 * pad > width for pad, width in zip(padding, kernel, strict=True)):
        return NotImplemented
    return _new((*self.shape[:2], *sizes), self)


@_rule("adaptive_avg_pool2d")
def _adaptive_avg_pool2d(self: Tensor, output_size: Any) -> Any:
    if not _plain(self) or self.dim() != 4 or 0 in self.shape or len(output_size) != 2:
        return NotImplemented
    return _new((*self.shape[:2], *output_size), self)


@_rule("mean.dim", "sum.dim_IntList")
def _reduced(self: Tensor, dim: Any, keepdim: bool = False, *, dtype: Any = None) -> Any:
    if not _plain(self) or not dim or dtype is not None:
        return NotImplemented
    axes = {axis % self.dim() for axis in dim if -self.dim() <= axis < self.dim()}
    if len(axes) != len(dim):
        return NotImplemented
    sizes = enumerate(self.shape)
    return _new(tuple(1 if axis in axes else size for axis, size in sizes if keepdim or axis not in axes), self)


# --- data movement -----------------------------------------------------------------------------------------------------


@_rule("embedding")
def _embedding(weight: Tensor, indices: Tensor, *rest: Any, **options: Any) -> Any:
    if weight.dim() != 2 or indices.dtype not in (torch.int64, torch.int32) or not _contiguous(weight):
        return NotImplemented
    return _new((*indices.shape, weight.shape[1]), weight)


@_rule("cat", "concat", "concatenate")
def _cat(tensors: Any, dim: int = 0) -> Any:
    first = tensors[0]
    axis = dim % first.dim() if -first.dim() <= dim < first.dim() else first.dim()
    same = [(*t.shape[:axis], *t.shape[axis + 1 :]) == (*first.shape[:axis], *first.shape[axis + 1 :]) for t in tensors]
    if axis == first.dim() or not all(same) or not all(t.dim() == first.dim() and _contiguous(t) for t in tensors):
        return NotImplemented
    if any(tensor.dtype is not first.dtype for tensor in tensors) or prod(first.shape) == 0:
        return NotImplemented
    return _new((*first.shape[:axis], sum(t.shape[axis] for t in tensors), *first.shape[axis + 1 :]), first)


@_rule("clone")
def _clone(self: Tensor, *, memory_format: Any = None) -> Any:
    if not _contiguous(self) or memory_format not in (None, torch.contiguous_format, torch.preserve_format):
        return NotImplemented
    return _new(self.shape, self)
