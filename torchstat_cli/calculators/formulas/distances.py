"""Distances between all pairs of vectors."""

from __future__ import annotations

from math import inf

from torchstat_cli.calculators.counting import DERIVED, argument, contraction, per_element
from torchstat_cli.calculators.registry import BUILTIN
from torchstat_cli.records import Cost, OpRecord, TensorRecord

_MATMUL_FROM = 25  # torch takes the matmul way when either side has more vectors than this
_ALWAYS, _NEVER = 1, 2  # compute_mode; anything else lets the sizes decide


@BUILTIN.formula("aten.cdist", "aten._cdist_forward", source=DERIVED)
def pairwise_distances(op: OpRecord) -> Cost:
    """Euclidean by matrix product: MAdds = pairs x (length + 2); else 3 or 4 per pair and coordinate."""
    left, right = op.tensor("x1").shape, op.tensor("x2").shape
    mode = argument(op, "compute_mode", 0)
    large = left[-2] > _MATMUL_FROM or right[-2] > _MATMUL_FROM
    if op.arguments["p"] == 2 and (mode == _ALWAYS or (mode != _NEVER and large)):
        return euclidean_distances(op)
    return per_element(op, _steps(float(op.arguments["p"]), left[-1]))


@BUILTIN.formula("aten._euclidean_dist", source=DERIVED)
def euclidean_distances(op: OpRecord) -> Cost:
    """MAdds = pairs x (length + 2); plus the norms, a bound and a root per pair."""
    # |x|^2 + |y|^2 - 2xy as one product of [-2x, |x|^2, 1] and [y, 1, |y|^2]: the length grows by 2. Before: squares
    # and their sums (2 * length - 1 per vector), -2x; after: clamp at 0 and square root.
    left, right = op.tensor("x1"), op.tensor("x2")
    length = left.shape[-1]
    vectors = (left.numel + right.numel) // length if length else 0
    extra = vectors * (2 * length - 1) + left.numel + 2 * op.output.numel
    return contraction(op, op.output.numel * (length + 2), extra)


@BUILTIN.formula("aten.pdist", "aten._pdist_forward", source=DERIVED)
def condensed_distances(op: OpRecord) -> Cost:
    """3 or 4 per pair and coordinate."""
    return per_element(op, _steps(float(op.arguments["p"]), op.tensor("self").shape[-1]))


@BUILTIN.formula("aten._cdist_backward", source=DERIVED)
def pairwise_distances_backward(op: OpRecord) -> Cost:
    """6 per pair and coordinate: difference, sign or power (2), times gradient, divide by distance, accumulate."""
    return per_element(op, 6, _gradient(op).numel * op.tensor("x1").shape[-1])


@BUILTIN.formula("aten._pdist_backward", source=DERIVED)
def condensed_distances_backward(op: OpRecord) -> Cost:
    """7 per pair and coordinate: difference, power (2), times gradient, divide by distance, accumulate on both."""
    return per_element(op, 7, _gradient(op).numel * op.tensor("self").shape[-1])


def _gradient(op: OpRecord) -> TensorRecord:
    """The gradient of the distances, whose name differs between versions of torch."""
    return op.inputs[0]


def _steps(p: float, length: int) -> int:
    """Operations of one distance between vectors of ``length``."""
    if not length:
        return 0
    if p == 0:
        return 2 * length - 1  # compare; add
    if p in (1, inf):
        return 3 * length - 1  # subtract, abs; add or compare
    if p == 2:
        return 3 * length  # subtract, square; add; one root
    return 4 * length  # subtract, abs, power; add; one root
