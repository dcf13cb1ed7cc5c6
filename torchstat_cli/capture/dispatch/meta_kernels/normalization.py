"""Normalisations and softmax, whose results are laid out as their input."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from torchstat_cli.capture.dispatch.meta_kernels.rules import new, plain, rule


@rule("batch_norm")
def _batch_norm(
    input: Tensor, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool, *rest: Any
) -> Any:
    channels = input.shape[1:2]
    vectors = [tensor for tensor in (weight, bias, running_mean, running_var) if tensor is not None]
    if not plain(input) or any(t.shape != channels for t in vectors):
        return NotImplemented
    if 0 in input.shape or (not training and (running_mean is None or running_var is None)):
        return NotImplemented
    return new(input.shape, input)


@rule("layer_norm")
def _layer_norm(input: Tensor, normalized_shape: Any, weight: Any = None, bias: Any = None, *rest: Any) -> Any:
    shape = tuple(normalized_shape)
    if not plain(input, weight, bias) or input.shape[input.dim() - len(shape) :] != shape:
        return NotImplemented
    if any(tensor is not None and tensor.shape != shape for tensor in (weight, bias)):
        return NotImplemented
    return new(input.shape, input)


@rule("group_norm")
def _group_norm(input: Tensor, num_groups: int, weight: Any = None, bias: Any = None, *rest: Any) -> Any:
    if not plain(input, weight, bias) or input.shape[1] % num_groups:
        return NotImplemented
    if any(tensor is not None and tensor.shape != input.shape[1:2] for tensor in (weight, bias)):
        return NotImplemented
    return new(input.shape, input)


@rule("softmax.int", "log_softmax.int")
def _softmax(self: Tensor, dim: int, dtype: Any = None) -> Any:
    if not plain(self) or not -self.dim() <= dim < self.dim():
        return NotImplemented
    return new(self.shape, self, dtype)
