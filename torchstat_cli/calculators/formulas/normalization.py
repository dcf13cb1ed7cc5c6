"""Layer, group, instance, batch, RMS and weight normalisation, forward."""

from __future__ import annotations

from math import prod

from torchstat_cli.calculators.counting import DERIVED, argument, first_tensor
from torchstat_cli.calculators.registry import BUILTIN
from torchstat_cli.records import Cost, OpRecord

# N elements in R groups that share a mean and a variance. Mean: N - R additions, R divisions. Variance: subtract N,
# square N, N - R additions, R divisions. Scale: add eps R, rsqrt R, multiply N. Together 5N + 2R.

_RUNNING = 7  # per statistic pair: two blends of two multiplications and an addition, one correction n / (n - 1)


def normalization_flops(elements: int, groups: int, *, weight: bool, bias: bool) -> int:
    """FLOPs of normalising ``elements`` in ``groups`` by their own statistics."""
    return (5 + weight + bias) * elements + 2 * groups


@BUILTIN.formula("aten.layer_norm", "aten.native_layer_norm", "quantized.layer_norm", source=DERIVED)
def layer_norm(op: OpRecord) -> Cost:
    """5 per element and 2 per row, 1 per element each for weight and bias."""
    return _by_own_statistics(op, _rows(op))


@BUILTIN.formula("aten.group_norm", "quantized.group_norm", source=DERIVED)
def group_norm(op: OpRecord) -> Cost:
    """5 per element and 2 per group of each sample, 1 per element each for weight and bias."""
    return _by_own_statistics(op, op.tensor("input").shape[0] * op.arguments["num_groups"])


@BUILTIN.formula("aten.native_group_norm", source=DERIVED)
def native_group_norm(op: OpRecord) -> Cost:
    """5 per element and 2 per group of each sample, 1 per element each for weight and bias."""
    return _by_own_statistics(op, op.arguments["N"] * op.arguments["group"])


@BUILTIN.formula("aten.instance_norm", "quantized.instance_norm", source=DERIVED)
def instance_norm(op: OpRecord) -> Cost:
    """5 per element and 2 per channel of each sample; with running statistics 9 more per channel and sample."""
    shape = op.tensor("input").shape
    if not argument(op, "use_input_stats", True):
        return _by_running_statistics(op, shape[0] * shape[1])
    # torch keeps running statistics per sample and channel, then takes two means over the samples.
    running = (_RUNNING + 2) * shape[0] * shape[1] if op.has_tensor("running_mean") else 0
    return _by_own_statistics(op, shape[0] * shape[1]) + Cost(flops=running)


@BUILTIN.formula(
    "aten.batch_norm",
    "aten.native_batch_norm",
    "aten.cudnn_batch_norm",
    "aten.miopen_batch_norm",
    "aten._batch_norm_impl_index",
    "aten._native_batch_norm_legit",
    "aten._native_batch_norm_legit_functional",
    source=DERIVED,
)
def batch_norm(op: OpRecord) -> Cost:
    """Evaluation: 2 per element and per channel, 1 per element each for weight and bias; training as in training."""
    return batch_norm_training(op) if argument(op, "training", False) else _by_running_statistics(op, _channels(op))


@BUILTIN.formula("aten._batch_norm_with_update", "aten._batch_norm_with_update_functional", source=DERIVED)
def batch_norm_training(op: OpRecord) -> Cost:
    """5 per element and 2 per channel, 1 per element each for weight and bias, 7 per channel of running statistics."""
    channels = _channels(op)
    running = _RUNNING * channels if op.has_tensor("running_mean") else 0
    return _by_own_statistics(op, channels) + Cost(flops=running)


@BUILTIN.formula("aten._native_batch_norm_legit_no_training", "aten._batch_norm_no_update", source=DERIVED)
def batch_norm_evaluation(op: OpRecord) -> Cost:
    """2 per element and per channel, 1 per element each for weight and bias."""
    return _by_running_statistics(op, _channels(op))


@BUILTIN.formula("aten.quantized_batch_norm", source=DERIVED)
@BUILTIN.formula(*(f"quantized.batch_norm{rank}" for rank in ("", "1d", "2d", "3d")), source=DERIVED)
@BUILTIN.formula(*(f"quantized.batch_norm{rank}_relu" for rank in ("", "1d", "2d", "3d")), source=DERIVED)
@BUILTIN.formula("onednn.qbatch_norm2d", source=DERIVED)
def quantized_batch_norm(op: OpRecord) -> Cost:
    """2 per element (scale, shift) after 5 per channel that join the statistics into both."""
    # eps, rsqrt, times weight; mean times scale, bias minus that
    return Cost(flops=2 * op.output.numel + 5 * op.tensor("mean").numel)


@BUILTIN.formula("aten.batch_norm_stats", "aten.batch_norm_update_stats", source=DERIVED)
def batch_norm_statistics(op: OpRecord) -> Cost:
    """4 per element and 2 per channel: the normalisation without its last multiplication."""
    running = _RUNNING * _channels(op) if op.has_tensor("running_mean") else 0
    return Cost(flops=4 * op.tensor("input").numel + 2 * _channels(op) + running)


@BUILTIN.formula("aten.batch_norm_elemt", source=DERIVED)
def batch_norm_apply(op: OpRecord) -> Cost:
    """2 per element, 1 each for weight and bias."""
    return Cost(flops=(2 + op.has_tensor("weight") + op.has_tensor("bias")) * op.tensor("input").numel)


@BUILTIN.formula("aten.batch_norm_gather_stats", "aten.batch_norm_gather_stats_with_counts", source=DERIVED)
def batch_norm_gather(op: OpRecord) -> Cost:
    """10 per gathered statistic to merge two means and variances, 7 per channel of running statistics."""
    # variance from invstd (divide, square, subtract eps), then Chan's parallel update of mean and variance (7)
    running = _RUNNING * op.output.numel if op.has_tensor("running_mean") else 0
    return Cost(flops=10 * op.tensor("mean").numel + running)


@BUILTIN.formula("aten.rms_norm", "aten._fused_rms_norm", source=DERIVED)
def rms_norm(op: OpRecord) -> Cost:
    """3 per element and 2 per row, 1 per element for the weight."""
    # square N, add N - R, divide R, add eps R, rsqrt R, multiply N
    elements = op.tensor("input").numel
    return Cost(flops=(3 + op.has_tensor("weight")) * elements + 2 * _rows(op))


@BUILTIN.formula("aten._weight_norm", "aten._weight_norm_interface", source=DERIVED)
def weight_norm(op: OpRecord) -> Cost:
    """3 per weight element and 1 per norm."""
    # square N, add N - R, sqrt R, g / norm R, multiply N
    return Cost(flops=3 * op.tensor("v").numel + op.tensor("g").numel)


@BUILTIN.formula("aten.norm_except_dim", source=DERIVED)
def norm_except_dim(op: OpRecord) -> Cost:
    """2 per element: square N, add N - R, root R."""
    return Cost(flops=2 * op.tensor("v").numel)


@BUILTIN.formula("aten.renorm", source=DERIVED)
def renorm(op: OpRecord) -> Cost:
    """3 per element (norm, scale) and 3 per slice (compare, add eps, divide)."""
    given = op.tensor("self")
    return Cost(flops=3 * given.numel + 3 * given.shape[op.arguments["dim"]])


@BUILTIN.formula("aten.embedding_renorm", source=DERIVED)
def embedding_renorm(op: OpRecord) -> Cost:
    """As renorm over the looked-up rows, repeated ones included."""
    return Cost(flops=op.tensor("indices").numel * (3 * op.tensor("self").shape[-1] + 3))


def _by_own_statistics(op: OpRecord, groups: int) -> Cost:
    elements = op.tensor("input").numel
    affine = {"weight": op.has_tensor("weight"), "bias": op.has_tensor("bias")}
    return Cost(flops=normalization_flops(elements, groups, **affine))


def _by_running_statistics(op: OpRecord, groups: int) -> Cost:
    # subtract N, multiply N; per group add eps and rsqrt
    per_element = 2 + op.has_tensor("weight") + op.has_tensor("bias")
    return Cost(flops=per_element * op.tensor("input").numel + 2 * groups)


def _channels(op: OpRecord) -> int:
    shape = first_tensor(op, "input").shape
    return shape[1] if len(shape) > 1 else shape[0]  # torch takes a vector where it is empty


def _rows(op: OpRecord) -> int:
    width = prod(op.arguments["normalized_shape"])
    return op.tensor("input").numel // width if width else 0
