"""Resizing and sampling, computed by hand."""

from __future__ import annotations

import pytest

from tests.calculators.making import cost, flops, tensor
from torchstat_cli.records import Cost


@pytest.mark.parametrize(
    ("name", "per_output"),
    [
        ("upsample_nearest2d", 0), ("_upsample_nearest_exact2d", 0), ("upsample_linear1d", 3),
        ("upsample_bilinear2d", 9), ("upsample_trilinear3d", 21), ("upsample_bicubic2d", 35),
    ],
)  # fmt: skip
def test_blends_per_output_element(name: str, per_output: int) -> None:
    assert flops(f"aten.{name}", tensor(1, 2, 6, 6), self=tensor(1, 2, 3, 3)) == per_output * 72


@pytest.mark.parametrize(
    ("name", "per_gradient"),
    [("upsample_nearest2d", 1), ("upsample_linear1d", 4), ("upsample_bilinear2d", 8), ("upsample_bicubic2d", 32)],
)
def test_gradients_weigh_every_neighbour(name: str, per_gradient: int) -> None:
    found = flops(f"aten.{name}_backward", tensor(1, 2, 3, 3), grad_output=tensor(1, 2, 6, 6))
    assert found == per_gradient * 72


def test_antialiasing_takes_more_taps_when_it_shrinks() -> None:
    # 8 -> 4 bilinear: half-width 2, five taps; first 8 rows x 4 columns, then 4 x 4
    found = flops("aten._upsample_bilinear2d_aa", tensor(1, 1, 4, 4), self=tensor(1, 1, 8, 8))
    assert found == 32 * 9 + 16 * 9
    larger = flops("aten._upsample_bicubic2d_aa", tensor(1, 1, 8, 8), self=tensor(1, 1, 4, 4))
    assert larger == 32 * 9 + 64 * 9


def test_grid_sample() -> None:
    given = {"input": tensor(2, 3, 8, 8), "grid": tensor(2, 5, 5, 2), "interpolation_mode": 0, "padding_mode": 0}
    points, values = 50, 150
    assert (
        flops("aten.grid_sampler", tensor(2, 3, 5, 5), **given, align_corners=False)
        == 4 * 100 + 10 * points + 7 * values
    )
    border = {**given, "padding_mode": 1}
    assert (
        flops("aten.grid_sampler_2d", tensor(2, 3, 5, 5), **border, align_corners=True)
        == 5 * 100 + 10 * points + 7 * values
    )
    nearest = {**given, "interpolation_mode": 1}
    assert flops("aten.grid_sampler_2d", tensor(2, 3, 5, 5), **nearest, align_corners=True) == 3 * 100 + 2 * points
    space = {**given, "input": tensor(2, 3, 8, 8, 8), "grid": tensor(2, 1, 5, 5, 3)}
    assert (
        flops("aten.grid_sampler_3d", tensor(2, 3, 1, 5, 5), **space, align_corners=True)
        == 450 + 25 * points + 15 * values
    )


def test_grid_sample_backward_respects_its_mask() -> None:
    given = {"input": tensor(2, 3, 8, 8), "grid": tensor(2, 5, 5, 2), "grad_output": tensor(2, 3, 5, 5)}
    only_input = flops("aten.grid_sampler_2d_backward", tensor(2, 3, 8, 8), **given, output_mask=(True, False))
    both = flops("aten.grid_sampler_2d_backward", tensor(2, 3, 8, 8), **given, output_mask=(True, True))
    assert only_input == 400 + 500 + 8 * 150
    assert both - only_input == 24 * 150


def test_an_affine_grid_is_a_product() -> None:
    assert cost("aten.affine_grid_generator", tensor(2, 5, 5, 2), theta=tensor(2, 2, 3)) == Cost(300, 600)


def test_region_align() -> None:
    given = {"input": tensor(1, 4, 16, 16), "rois": tensor(3, 5), "sampling_ratio": 2}
    outputs = 3 * 4 * 7 * 7
    assert flops("torchvision.roi_align", tensor(3, 4, 7, 7), **given) == 4 * (8 * outputs + 14 * 147)
    adaptive = {**given, "sampling_ratio": -1}
    assert cost("torchvision.roi_align", tensor(3, 4, 7, 7), **adaptive) is None


def test_suppression_compares_all_pairs() -> None:
    # 4 boxes: sort 4 * 2, areas 4 * 3, 6 pairs of 13
    assert flops("torchvision.nms", tensor(2, dtype="int64"), dets=tensor(4, 4), scores=tensor(4)) == 8 + 12 + 78


def test_deformable_convolution() -> None:
    given = {
        "input": tensor(1, 4, 8, 8),
        "weight": tensor(6, 4, 3, 3),
        "offset": tensor(1, 18, 8, 8),
        "bias": tensor(6),
    }
    madds = 6 * 64 * 36
    sampled, points = 4 * 9 * 64, 9 * 64
    expected = Cost(madds, 2 * madds + 7 * sampled + 12 * points + 384)
    assert cost("torchvision.deform_conv2d", tensor(1, 6, 8, 8), **given, use_mask=False) == expected
