"""Reductions and scans along axes."""

from __future__ import annotations

from math import inf

from torchstat_cli.calculators.counting import DERIVED, argument, axes, length_along, per_element, tensors_of
from torchstat_cli.calculators.registry import BUILTIN
from torchstat_cli.records import Cost, OpRecord

# N elements joined into R results take N - R additions, products or comparisons.


@BUILTIN.formula(
    "aten.sum", "aten.prod", "aten.amax", "aten.amin", "aten.max", "aten.min", "aten.argmax", "aten.argmin"
)
@BUILTIN.formula("aten.all", "aten.any", "aten.trace", "aten.count_nonzero", "aten.sum_to_size", "aten.hash_tensor")
def reduction(op: OpRecord) -> Cost:
    """1 per input element less 1 per result."""
    return _reduced(op, 1, 1)


@BUILTIN.formula("aten.aminmax", "aten._aminmax")
def minimum_and_maximum(op: OpRecord) -> Cost:
    """2 per input element less 2 per result pair."""
    return _reduced(op, 2, 2)


@BUILTIN.formula("aten.mean", source=DERIVED)
def mean(op: OpRecord) -> Cost:
    """1 per input element: additions, and one division per result."""
    return _reduced(op, 1, 0)


@BUILTIN.formula("aten.nansum", source=DERIVED)
def sum_of_numbers(op: OpRecord) -> Cost:
    """2 per input element less 1 per result: compare, add."""
    return _reduced(op, 2, 1)


@BUILTIN.formula("aten.nanmean", source=DERIVED)
def mean_of_numbers(op: OpRecord) -> Cost:
    """2 per input element: compare, add, and one division per result."""
    return _reduced(op, 2, 0)


@BUILTIN.formula("aten.var", "aten.var_mean", source=DERIVED)
def variance(op: OpRecord) -> Cost:
    """4 per input element: mean, subtract, square, mean of that."""
    return _reduced(op, 4, 0)


@BUILTIN.formula("aten.std", "aten.std_mean", source=DERIVED)
def deviation(op: OpRecord) -> Cost:
    """4 per input element and 1 per result: variance and its root."""
    return _reduced(op, 4, -1)


@BUILTIN.formula(
    "aten.norm",
    "aten.native_norm",
    "aten.frobenius_norm",
    "aten.linalg_vector_norm",
    "aten._foreach_norm",
    source=DERIVED,
)
def vector_norm(op: OpRecord) -> Cost:
    """2 per input element, 3 for orders other than 0, 1, 2 and infinity."""
    # 2: square, add, root.  1: abs, add.  inf: abs, compare.  0: compare, add.  p: abs, power, add, root.
    order = next((op.arguments[name] for name in ("ord", "p") if op.arguments.get(name) is not None), 2)
    if order in (0, 1, inf, -inf):
        return _reduced(op, 2, 1)
    return _reduced(op, 2 if order in (2, "fro") else 3, 0)


@BUILTIN.formula("aten.linalg__powsum", "aten._foreach_powsum", source=DERIVED)
def sum_of_powers(op: OpRecord) -> Cost:
    """3 per input element less 1 per result: abs, power, add."""
    return _reduced(op, 3, 1)


@BUILTIN.formula("aten._foreach_max")
def maximum_per_tensor(op: OpRecord) -> Cost:
    """1 per input element less 1 per tensor."""
    return _reduced(op, 1, 1)


@BUILTIN.formula("aten.dist", source=DERIVED)
def distance(op: OpRecord) -> Cost:
    """3 per element: subtract, then a norm."""
    return per_element(op, 3, max(tensor.numel for tensor in op.inputs))


@BUILTIN.formula(
    "aten.cumsum", "aten.cumprod", "aten.cummax", "aten.cummin", "aten._cummax_helper", "aten._cummin_helper"
)
def scan(op: OpRecord) -> Cost:
    """1 per element less 1 per row."""
    return per_element(op, 1, _scanned(op))


@BUILTIN.formula("aten.logcumsumexp", "aten._logcumsumexp", source=DERIVED)
def scan_logsumexp(op: OpRecord) -> Cost:
    """6 per element less 6 per row: a logaddexp for each but the first."""
    return per_element(op, 6, _scanned(op))


@BUILTIN.formula("aten.diff", source=DERIVED)
def differences(op: OpRecord) -> Cost:
    """1 per element of the result and of every order before it."""
    given, output, order = op.tensor("self"), op.output, argument(op, "n", 1)
    axis = axes(argument(op, "dim", -1), len(given.shape))[0]
    across = output.numel // output.shape[axis] if output.numel else 0
    return per_element(op, 1, across * sum(output.shape[axis] + step for step in range(order)))


@BUILTIN.formula("aten.segment_reduce", source=DERIVED)
def segments(op: OpRecord) -> Cost:
    """1 per input element."""
    return per_element(op, 1, op.tensor("data").numel)


@BUILTIN.formula("aten._segment_reduce_backward", "aten.cummaxmin_backward", source=DERIVED)
def segments_backward(op: OpRecord) -> Cost:
    """1 per element of the gradient."""
    return per_element(op, 1, op.tensor("grad").numel)


@BUILTIN.formula("aten.histc", "aten.histogram", "aten._histogramdd_from_bin_cts", source=DERIVED)
@BUILTIN.formula("aten._histogramdd_from_bin_tensors", source=DERIVED)
def histogram(op: OpRecord) -> Cost:
    """4 per element: subtract the minimum, scale, round down, count."""
    return per_element(op, 4, op.inputs[0].numel)


@BUILTIN.formula("aten.bincount")
def bin_counts(op: OpRecord) -> Cost:
    """1 per weight; counting without weights is integer work."""
    return per_element(op, 1, op.tensor("weights").numel if op.has_tensor("weights") else 0)


def _reduced(op: OpRecord, per_input: int, less_per_result: int) -> Cost:
    """``per_input`` operations for each input element, less some for each result; a scalar result counts once."""
    given = sum(tensor.numel for name in ("self", "input") for tensor in tensors_of(op, name))
    results = sum(tensor.numel for tensor in op.outputs) if op.name.startswith("aten._foreach") else op.output.numel
    return per_element(op, 1, max(per_input * given - less_per_result * results, 0))


def _scanned(op: OpRecord) -> int:
    given = op.tensor("self")
    length = length_along(given.shape, op.arguments["dim"])
    return given.numel - given.numel // length if length else 0
