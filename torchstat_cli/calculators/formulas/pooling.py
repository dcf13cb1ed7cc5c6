"""Pooling: maxima and means over windows, and their gradients."""

from __future__ import annotations

from math import prod

from torchstat_cli.calculators.counting import DERIVED, additions, ceil_div, first_tensor, per_element
from torchstat_cli.calculators.registry import BUILTIN
from torchstat_cli.records import Cost, OpRecord, Shape

# A window of K elements takes K - 1 comparisons or additions; a mean divides once more. Padding counts as elements.


@BUILTIN.formula(*(f"aten.max_pool{rank}d" for rank in (1, 2, 3)), source=DERIVED)
@BUILTIN.formula(*(f"aten.max_pool{rank}d_with_indices" for rank in (1, 2, 3)), source=DERIVED)
@BUILTIN.formula(*(f"aten.mkldnn_max_pool{rank}d" for rank in (2, 3)), source=DERIVED)
@BUILTIN.formula(*(f"aten.quantized_max_pool{rank}d" for rank in (1, 2, 3)), source=DERIVED)
@BUILTIN.formula(*(f"quantized.max_pool{rank}d" for rank in (1, 2)), source=DERIVED)
@BUILTIN.formula(*(f"aten.fractional_max_pool{rank}d" for rank in (2, 3)), source=DERIVED)
def max_pool(op: OpRecord) -> Cost:
    """Window size less 1 per output element."""
    return per_element(op, _window(op) - 1)


@BUILTIN.formula(*(f"aten.avg_pool{rank}d" for rank in (1, 2, 3)), source=DERIVED)
def average_pool(op: OpRecord) -> Cost:
    """Window size per output element: additions and one division."""
    return per_element(op, _window(op))


@BUILTIN.formula(*(f"aten.adaptive_avg_pool{rank}d" for rank in (1, 2, 3)), source=DERIVED)
@BUILTIN.formula("aten._adaptive_avg_pool2d", "aten._adaptive_avg_pool3d", source=DERIVED)
@BUILTIN.formula("aten.mkldnn_adaptive_avg_pool2d", source=DERIVED)
def adaptive_average_pool(op: OpRecord) -> Cost:
    """Elements of all windows, overlaps counted in each: additions and one division per window."""
    return Cost(flops=_window_elements(first_tensor(op, "self").shape, op.output.shape, _rank(op.name)))


@BUILTIN.formula(*(f"aten.adaptive_max_pool{rank}d" for rank in (1, 2, 3)), source=DERIVED)
def adaptive_max_pool(op: OpRecord) -> Cost:
    """Elements of all windows, overlaps counted in each, less 1 per window."""
    elements = _window_elements(op.tensor("self").shape, op.output.shape, _rank(op.name))
    return Cost(flops=additions(elements, op.output.numel))


@BUILTIN.formula(*(f"aten.max_pool{rank}d_with_indices_backward" for rank in (2, 3)), source=DERIVED)
@BUILTIN.formula("aten.max_pool2d_backward", "aten.mkldnn_max_pool2d_backward", source=DERIVED)
@BUILTIN.formula("aten.mkldnn_max_pool3d_backward", source=DERIVED)
@BUILTIN.formula(*(f"aten.adaptive_max_pool{rank}d_backward" for rank in (2, 3)), source=DERIVED)
@BUILTIN.formula(*(f"aten.fractional_max_pool{rank}d_backward" for rank in (2, 3)), source=DERIVED)
def max_pool_backward(op: OpRecord) -> Cost:
    """1 per element of the output's gradient, added where the maximum was."""
    return per_element(op, 1, op.tensor("grad_output").numel)


@BUILTIN.formula(*(f"aten.avg_pool{rank}d_backward" for rank in (2, 3)), source=DERIVED)
def average_pool_backward(op: OpRecord) -> Cost:
    """Window size plus 1 per element of the output's gradient: divide, then add to the whole window."""
    return per_element(op, _window(op) + 1, op.tensor("grad_output").numel)


@BUILTIN.formula("aten._adaptive_avg_pool2d_backward", "aten._adaptive_avg_pool3d_backward", source=DERIVED)
@BUILTIN.formula("aten.adaptive_avg_pool3d_backward", "aten.mkldnn_adaptive_avg_pool2d_backward", source=DERIVED)
def adaptive_average_pool_backward(op: OpRecord) -> Cost:
    """Elements of all windows, and one division per window."""
    grad = op.tensor("grad_output")
    return Cost(flops=_window_elements(op.tensor("self").shape, grad.shape, _rank(op.name)) + grad.numel)


def _rank(name: str) -> int:
    """Pooled axes, from the digit before the "d" of max_pool2d."""
    return int(name[name.index("pool") + 4])


def _window(op: OpRecord) -> int:
    kernel = op.arguments["kernel_size"]
    sizes = (kernel,) if isinstance(kernel, int) else tuple(kernel)
    return int(sizes[0] ** _rank(op.name)) if len(sizes) == 1 else prod(sizes)


def _window_elements(given: Shape, output: Shape, rank: int) -> int:
    """Elements of all windows; window i of an axis runs from floor(i * in / out) to ceil((i + 1) * in / out)."""
    per_axis = [
        sum(ceil_div((i + 1) * size, count) - i * size // count for i in range(count))
        for size, count in zip(given[-rank:], output[-rank:], strict=True)
    ]
    return prod(output[:-rank]) * prod(per_axis)
