"""Resizing by interpolation, plain and antialiased, and its gradients."""

from __future__ import annotations

from math import ceil

from torchstat_cli.calculators.counting import DERIVED, first_tensor, per_element
from torchstat_cli.calculators.registry import BUILTIN
from torchstat_cli.records import Cost, OpRecord, Shape

# One blend of two neighbours is w0 * x0 + w1 * x1, three operations: linear takes 1 blend, bilinear 3, trilinear 7.
# A cubic of four neighbours is 4 multiplications and 3 additions, bicubic takes 4 rows and 1 column of them. The
# weights are shared by all rows, columns and channels and are left out. Backward every neighbour receives weight * g.
_PER_OUTPUT = {"linear1d": (3, 2), "bilinear2d": (9, 4), "trilinear3d": (21, 8), "bicubic2d": (35, 16)}
_SUPPORT = {"bilinear2d": 1, "bicubic2d": 2, "lanczos2d": 3}  # half-widths of the antialiasing filters

BUILTIN.free(
    *(f"aten.upsample_nearest{rank}d" for rank in (1, 2, 3)),
    *(f"aten._upsample_nearest_exact{rank}d" for rank in (1, 2, 3)),
    reason="copies the nearest value",
)


def _claim(kind: str, forward: int, neighbours: int) -> None:
    @BUILTIN.formula(
        f"aten.upsample_{kind}", words=f"{forward} per output element: blends of neighbours", source=DERIVED
    )
    def interpolate(op: OpRecord) -> Cost:
        return per_element(op, forward)

    @BUILTIN.formula(
        f"aten.upsample_{kind}_backward",
        words=f"{2 * neighbours} per gradient element: weigh and add to each of {neighbours} neighbours",
        source=DERIVED,
    )
    def interpolate_backward(op: OpRecord) -> Cost:
        return per_element(op, 2 * neighbours, op.tensor("grad_output").numel)


for _kind, (_forward, _neighbours) in _PER_OUTPUT.items():
    _claim(_kind, _forward, _neighbours)


@BUILTIN.formula(*(f"aten.upsample_nearest{rank}d_backward" for rank in (1, 2, 3)), source=DERIVED)
@BUILTIN.formula(*(f"aten._upsample_nearest_exact{rank}d_backward" for rank in (1, 2, 3)), source=DERIVED)
def nearest_backward(op: OpRecord) -> Cost:
    """1 per gradient element, added where its value came from."""
    return per_element(op, 1, op.tensor("grad_output").numel)


@BUILTIN.formula(*(f"aten._upsample_{kind}_aa" for kind in _SUPPORT), source=DERIVED)
def antialiased(op: OpRecord) -> Cost:
    """2 x taps - 1 per element, first along the width, then along the height."""
    given, output = first_tensor(op, "self", "input").shape, op.output.shape
    wide, high = _taps(op.name, given, output)
    across = output[0] * output[1] * output[3]
    return Cost(flops=across * given[2] * (2 * wide - 1) + across * output[2] * (2 * high - 1))


@BUILTIN.formula(*(f"aten._upsample_{kind}_aa_backward" for kind in _SUPPORT), source=DERIVED)
def antialiased_backward(op: OpRecord) -> Cost:
    """2 x taps per element, first along the height, then along the width."""
    given, output = op.output.shape, op.tensor("grad_output").shape
    wide, high = _taps(op.name, given, output)
    across = output[0] * output[1] * output[3]
    return Cost(flops=across * given[2] * 2 * wide + across * output[2] * 2 * high)


def _taps(name: str, given: Shape, output: Shape) -> tuple[int, int]:
    """Filter taps along width and height; when shrinking, the filter stretches with the step."""
    support = next(width for kind, width in _SUPPORT.items() if kind in name)

    def taps(before: int, after: int) -> int:
        return 2 * ceil(support * max(before / after, 1.0)) + 1

    return taps(given[3], output[3]), taps(given[2], output[2])
