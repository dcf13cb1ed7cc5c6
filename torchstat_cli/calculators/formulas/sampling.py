"""Sampling at computed places: grid_sample, affine grids, and torchvision's region and deformable operators."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from torchstat_cli.calculators.counting import DERIVED, argument, ceil_log2, contraction
from torchstat_cli.calculators.registry import BUILTIN
from torchstat_cli.records import Cost, OpRecord

_BILINEAR, _NEAREST, _BICUBIC = range(3)  # torch's numbers of the interpolation modes
_PADDING_STEPS = (
    0,
    2,
    8,
)  # zeros; border: two bounds; reflection: subtract, abs, fmod, divide, floor, subtract, bounds
_POINT_WEIGHTS = 10  # bilinear: two floors, four differences, four products
_BLEND = 7  # four products, three additions


@dataclass(frozen=True, slots=True)
class Sampler:
    """Operations of one way to sample."""

    per_point: int  # weights, shared by all channels
    per_value: int  # blend of one channel
    per_value_backward: int  # gradient of the sampled tensor: weigh and add to each neighbour
    per_value_grid: int  # gradient of the place: for each neighbour and axis, products with the other weights, one sum


_PLANE = {
    _BILINEAR: Sampler(_POINT_WEIGHTS, _BLEND, 8, 24),
    _NEAREST: Sampler(2, 0, 1, 0),
    # 2 floors, 2 fractions, 4 cubic weights (25) per axis; 5 cubics of 7 operations; 16 neighbours
    _BICUBIC: Sampler(54, 35, 32, 96),
}
_SPACE = {_BILINEAR: Sampler(25, 15, 16, 96), _NEAREST: Sampler(3, 0, 1, 0)}


@BUILTIN.formula("aten.grid_sampler", "aten.grid_sampler_2d", "aten.grid_sampler_3d", source=DERIVED)
@BUILTIN.formula("aten._grid_sampler_2d_cpu_fallback", "aten.cudnn_grid_sampler", source=DERIVED)
def grid_sample(op: OpRecord) -> Cost:
    """Bilinear in the plane: 7 per output element, 10 per point for the weights, 3 or more per coordinate."""
    sampler = _sampler(op)
    return Cost(flops=_places(op) + sampler.per_point * _points(op) + sampler.per_value * op.output.numel)


@BUILTIN.formula("aten.grid_sampler_2d_backward", "aten.grid_sampler_3d_backward", source=DERIVED)
@BUILTIN.formula("aten._grid_sampler_2d_cpu_fallback_backward", "aten.cudnn_grid_sampler_backward", source=DERIVED)
def grid_sample_backward(op: OpRecord) -> Cost:
    """Places and weights again; bilinear in the plane: 8 per value for the input's gradient, 24 for the grid's."""
    sampler, grad = _sampler(op), op.tensor("grad_output")
    mask = argument(op, "output_mask", (True, True))
    per_value = sampler.per_value_backward * bool(mask[0]) + sampler.per_value_grid * bool(mask[1])
    return Cost(flops=_places(op) + sampler.per_point * _points(op) + per_value * grad.numel)


@BUILTIN.formula("aten.affine_grid_generator", "aten.cudnn_affine_grid_generator", source=DERIVED)
def affine_grid(op: OpRecord) -> Cost:
    """MAdds = output elements x 3 (plane) or 4 (space): homogeneous coordinates times theta."""
    return contraction(op, op.output.numel * (op.output.shape[-1] + 1))


@BUILTIN.formula("aten.affine_grid_generator_backward", "aten.cudnn_affine_grid_generator_backward", source=DERIVED)
def affine_grid_backward(op: OpRecord) -> Cost:
    """MAdds of the forward."""
    grad = op.tensor("grad")
    return contraction(op, grad.numel * (grad.shape[-1] + 1))


@BUILTIN.formula("torchvision.nms", source="torchvision's definition; every pair compared: an upper bound")
def non_maximum_suppression(op: OpRecord) -> Cost:
    """ceil(log2 n) + 3 per box and 13 per pair of boxes: sort, areas, overlaps."""
    # overlap: four bounds, two differences, two bounds at 0, product, sum, difference, quotient, comparison
    boxes = op.tensor("dets").shape[0]
    return Cost(flops=boxes * (ceil_log2(boxes) + 3) + 13 * (boxes * (boxes - 1) // 2))


@BUILTIN.formula("torchvision.roi_align", "torchvision.ps_roi_align", source=DERIVED)
def region_align(op: OpRecord) -> Cost | None:
    """8 per output element and sample, 14 per sample point; unknown when the samples depend on the boxes."""
    # blend 7, sum or mean 1; a point takes its two coordinates (4) and bilinear weights (10), shared by all channels
    samples = op.arguments["sampling_ratio"] ** 2
    if op.arguments["sampling_ratio"] <= 0:
        return None
    points = op.output.numel // op.output.shape[1] if op.output.numel else 0
    return Cost(flops=samples * ((_BLEND + 1) * op.output.numel + (_POINT_WEIGHTS + 4) * points))


@BUILTIN.formula("torchvision._roi_align_backward", "torchvision._ps_roi_align_backward", source=DERIVED)
def region_align_backward(op: OpRecord) -> Cost | None:
    """8 per gradient element and sample, 14 per sample point; unknown when the samples depend on the boxes."""
    grad, samples = op.tensor("grad"), op.arguments["sampling_ratio"] ** 2
    if op.arguments["sampling_ratio"] <= 0:
        return None
    points = grad.numel // grad.shape[1] if grad.numel else 0
    return Cost(flops=samples * (8 * grad.numel + (_POINT_WEIGHTS + 4) * points))


@BUILTIN.formula("torchvision.deform_conv2d", source=DERIVED)
def deformable_convolution(op: OpRecord) -> Cost:
    """MAdds of the convolution; 7 per sampled value (8 with a mask), 12 per sampled point, the bias."""
    weight, given, offset = op.tensor("weight"), op.tensor("input"), op.tensor("offset")
    batch, _, high, wide = op.output.shape
    values = batch * given.shape[1] * prod(weight.shape[2:]) * high * wide
    blend = _BLEND + bool(argument(op, "use_mask", False))
    # offset holds two coordinates per point: one addition each, then bilinear weights
    points = offset.numel // 2
    bias = op.output.numel if op.has_tensor("bias") else 0
    return contraction(op, op.output.numel * prod(weight.shape[1:]), blend * values + 12 * points + bias)


@BUILTIN.formula("torchvision._deform_conv2d_backward", source=DERIVED)
def deformable_convolution_backward(op: OpRecord) -> Cost:
    """MAdds of the forward twice; 39 per sampled value (48 with a mask): sample, gradients of input and offset."""
    grad, weight, given = op.tensor("grad"), op.tensor("weight"), op.tensor("input")
    values = grad.shape[0] * given.shape[1] * prod(weight.shape[2:]) * prod(grad.shape[2:])
    per_value = 48 if argument(op, "use_mask", False) else 39
    return contraction(
        op, 2 * grad.numel * prod(weight.shape[1:]), per_value * values + 12 * (op.tensor("offset").numel // 2)
    )


def _sampler(op: OpRecord) -> Sampler:
    mode = argument(op, "interpolation_mode", _BILINEAR)
    return (_PLANE if op.tensor("grid").shape[-1] == 2 else _SPACE)[mode]


def _points(op: OpRecord) -> int:
    grid = op.tensor("grid")
    return grid.numel // grid.shape[-1] if grid.numel else 0


def _places(op: OpRecord) -> int:
    """FLOPs of turning grid values in -1…1 into places: (x + 1) / 2 * (size - 1), or ((x + 1) * size - 1) / 2."""
    steps = 3 if argument(op, "align_corners", False) else 4
    return op.tensor("grid").numel * (steps + _PADDING_STEPS[argument(op, "padding_mode", 0)])
