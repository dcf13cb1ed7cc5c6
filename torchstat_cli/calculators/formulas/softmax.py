"""Softmax, its logarithm and logsumexp, and their gradients."""

from __future__ import annotations

from torchstat_cli.calculators.counting import DERIVED, argument, length_along
from torchstat_cli.calculators.registry import BUILTIN
from torchstat_cli.records import Cost, OpRecord

# N elements in R rows. Softmax: max N - R, subtract N, exp N, sum N - R, divide N = 5N - 2R.


@BUILTIN.formula("aten.softmax", "aten._softmax", "aten.special_softmax", source=DERIVED)
@BUILTIN.formula("aten._masked_softmax", "aten._nested_tensor_softmax_with_shape", "quantized.softmax", source=DERIVED)
def softmax(op: OpRecord) -> Cost:
    """5 per element less 2 per row: max, subtract, exp, sum, divide."""
    elements, rows = _sizes(op)
    return Cost(flops=5 * elements - 2 * rows)


@BUILTIN.formula("aten._safe_softmax", source=DERIVED)
def safe_softmax(op: OpRecord) -> Cost:
    """As softmax, plus 1 per element to find rows that are masked out altogether."""
    elements, rows = _sizes(op)
    return Cost(flops=6 * elements - 2 * rows)


@BUILTIN.formula("aten.log_softmax", "aten._log_softmax", "aten.special_log_softmax", source=DERIVED)
def log_softmax(op: OpRecord) -> Cost:
    """5 per element less 1 per row: max, subtract, exp, sum, a log per row, subtract."""
    elements, rows = _sizes(op)
    return Cost(flops=5 * elements - rows)


@BUILTIN.formula("aten.logsumexp", "aten.special_logsumexp", source=DERIVED)
def logsumexp(op: OpRecord) -> Cost:
    """4 per element: max, subtract, exp, sum, and log and add per row."""
    return Cost(flops=4 * op.tensor("self").numel)


@BUILTIN.formula("aten._softmax_backward_data", "aten._masked_softmax_backward", source=DERIVED)
def softmax_backward(op: OpRecord) -> Cost:
    """4 per element less 1 per row: y * (g - sum(g * y))."""
    elements, rows = _sizes(op)
    return Cost(flops=4 * elements - rows)


@BUILTIN.formula("aten._log_softmax_backward_data", source=DERIVED)
def log_softmax_backward(op: OpRecord) -> Cost:
    """4 per element less 1 per row: g - exp(y) * sum(g)."""
    elements, rows = _sizes(op)
    return Cost(flops=4 * elements - rows)


def _sizes(op: OpRecord) -> tuple[int, int]:
    """Elements and rows."""
    shape = op.output.shape
    length = length_along(shape, argument(op, "dim", -1))
    return op.output.numel, op.output.numel // length if length else 0
