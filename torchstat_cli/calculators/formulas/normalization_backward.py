"""Gradients of the normalisations."""

from __future__ import annotations

from math import prod

from torchstat_cli.calculators.counting import DERIVED, additions, argument, first_tensor
from torchstat_cli.calculators.registry import BUILTIN
from torchstat_cli.records import Cost, OpRecord

# N elements, R groups with statistics of their own, D elements of weight and bias. x^ = (x - mean) * rstd is 2N.
# grad_weight sums grad * x^: N + N - D. grad_bias sums grad: N - D.
# grad_input = rstd * (g - mean(g) - x^ * mean(g * x^)) with g = grad * weight: g N; sums N - R and N + N - R; 2R
# divisions; two subtractions and two multiplications 4N. Together 7N, and N for the weight.

_ALL = (True, True, True)


@BUILTIN.formula("aten.native_layer_norm_backward", source=DERIVED)
def layer_norm_backward(op: OpRecord) -> Cost:
    """Up to 13 per element less 2 per weight element, by the gradients that are wanted."""
    return _own_statistics(op, prod(op.arguments["normalized_shape"]))


@BUILTIN.formula("aten.native_group_norm_backward", source=DERIVED)
def group_norm_backward(op: OpRecord) -> Cost:
    """Up to 13 per element less 2 per channel, by the gradients that are wanted."""
    return _own_statistics(op, op.arguments["C"])


@BUILTIN.formula(
    "aten.native_batch_norm_backward",
    "aten.cudnn_batch_norm_backward",
    "aten.miopen_batch_norm_backward",
    "aten.batch_norm_backward",
    "aten._batch_norm_impl_index_backward",
    source=DERIVED,
)
def batch_norm_backward(op: OpRecord) -> Cost:
    """Training: up to 9 per element and 1 per channel; evaluation: 1 per element for the input gradient."""
    # The sums of grad_weight and grad_bias are the very ones that grad_input needs in training; then two divisions
    # and weight * rstd per channel and 4N. In evaluation grad_input = grad * weight * rstd: N, eps, rsqrt, product.
    elements, channels = op.tensor("input").numel, op.tensor("input").shape[1]
    mask, train = argument(op, "output_mask", _ALL), argument(op, "train", argument(op, "update", True))
    through_statistics = mask[0] and train
    flops = 0
    if mask[1] or through_statistics:
        flops += 3 * elements + additions(elements, channels)
    if mask[2] or through_statistics:
        flops += additions(elements, channels)
    if mask[0]:
        flops += 4 * elements + 3 * channels if train else elements + 3 * channels
    return Cost(flops=flops)


@BUILTIN.formula("aten.batch_norm_backward_reduce", source=DERIVED)
def batch_norm_backward_reduce(op: OpRecord) -> Cost:
    """4 per element less 1 per channel: the sums of grad and of grad * (x - mean)."""
    # subtract N, multiply N, two sums N - C, and rstd once per channel for grad_weight
    given = op.tensor("input")
    return Cost(flops=2 * given.numel + 2 * additions(given.numel, given.shape[1]) + given.shape[1])


@BUILTIN.formula("aten.batch_norm_backward_elemt", source=DERIVED)
def batch_norm_backward_apply(op: OpRecord) -> Cost:
    """5 per element and 5 per channel."""
    # x - mean, times its factor, two subtractions, times weight * rstd; the factors are five operations a channel
    given = op.tensor("input")
    return Cost(flops=5 * given.numel + 5 * given.shape[1])


@BUILTIN.formula("aten._fused_rms_norm_backward", source=DERIVED)
def rms_norm_backward(op: OpRecord) -> Cost:
    """Input gradient 5 per element, 1 for the weight; weight gradient 2 per element; x^ 1 per element."""
    # x^ = x * rstd N. grad_input = rstd * (g - x^ * mean(g * x^)): g N, sum N + N - R, R divisions, 3N.
    elements, width = op.tensor("input").numel, prod(op.arguments["normalized_shape"])
    mask = argument(op, "output_mask", _ALL)
    flops = elements if any(mask[:2]) else 0
    if mask[0]:
        flops += (5 + op.has_tensor("weight")) * elements
    if mask[1]:
        flops += elements + additions(elements, width)
    return Cost(flops=flops)


@BUILTIN.formula("aten._weight_norm_interface_backward", source=DERIVED)
def weight_norm_backward(op: OpRecord) -> Cost:
    """5 per weight element and 3 per norm."""
    # sum(grad * v) N + N - R; g / norm, norm^2, sum / norm^2 and grad_g = sum / norm 4R; grad_v 3N
    return Cost(flops=5 * op.tensor("saved_v").numel + 3 * op.tensor("saved_g").numel)


def _own_statistics(op: OpRecord, width: int) -> Cost:
    elements = first_tensor(op, "input").numel
    mask = argument(op, "output_mask", _ALL)
    flops = 2 * elements if any(mask[:2]) else 0
    if mask[0]:
        flops += (7 + op.has_tensor("weight")) * elements
    if mask[1]:
        flops += elements + additions(elements, width)
    if mask[2]:
        flops += additions(elements, width)
    return Cost(flops=flops)
