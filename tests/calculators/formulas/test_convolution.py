"""MAdds and FLOPs of convolutions, computed by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calculators.making import cost, tensor
from torchstat_cli.records import Cost


def test_the_first_convolution_of_resnet() -> None:
    given = {"input": tensor(1, 3, 224, 224), "weight": tensor(64, 3, 7, 7), "bias": None, "groups": 1}
    madds = 64 * 112 * 112 * 3 * 49
    assert madds == 118_013_952  # as published tables have it
    assert cost("aten.conv2d", tensor(1, 64, 112, 112), **given) == Cost(madds, 2 * madds)


def test_the_bias_adds_one_per_output_element() -> None:
    given = {"input": tensor(2, 4, 9), "weight": tensor(6, 4, 3), "bias": tensor(6)}
    assert cost("aten.conv1d", tensor(2, 6, 7), **given) == Cost(84 * 12, 84 * 24 + 84)


def test_groups_divide_the_channels_each_filter_sees() -> None:
    depthwise = {"input": tensor(2, 8, 5, 5), "weight": tensor(8, 1, 3, 3), "bias": None, "groups": 8}
    assert cost("aten.conv2d", tensor(2, 8, 5, 5), **depthwise) == Cost(400 * 9, 400 * 18)


@pytest.mark.parametrize(
    ("name", "transposed"), [("aten.conv_transpose2d", {}), ("aten.convolution", {"transposed": True})]
)
def test_a_transposed_convolution_counts_input_positions(name: str, transposed: dict[str, Any]) -> None:
    # every input element meets Cout/groups * 4 * 4 weights
    given = {"input": tensor(1, 8, 5, 5), "weight": tensor(8, 3, 4, 4), "bias": tensor(6), "groups": 2}
    expected = 200 * 3 * 16
    assert cost(name, tensor(1, 6, 10, 10), **given, **transposed) == Cost(expected, 2 * expected + 600)


@pytest.mark.parametrize(
    ("mask", "times", "bias"),
    [((True, True, True), 2, 400 - 8), ((False, True, True), 1, 392), ((True, False, False), 1, 0)],
)
def test_gradients_respect_mask_and_groups(mask: tuple[bool, ...], times: int, bias: int) -> None:
    forward = 400 * 9  # depthwise: 2*8*5*5 outputs, 9 weights each
    given = {
        "grad_output": tensor(2, 8, 5, 5),
        "input": tensor(2, 8, 5, 5),
        "weight": tensor(8, 1, 3, 3),
        "bias_sizes": (8,),
        "transposed": False,
        "groups": 8,
        "output_mask": mask,
    }
    expected = Cost(times * forward, 2 * times * forward + bias)
    assert cost("aten.convolution_backward", tensor(2, 8, 5, 5), **given) == expected


def test_the_gradient_of_a_transposed_convolution_counts_input_positions() -> None:
    given = {
        "grad_output": tensor(1, 6, 10, 10),
        "input": tensor(1, 8, 5, 5),
        "weight": tensor(8, 3, 4, 4),
        "transposed": True,
        "output_mask": (True, True, False),
    }
    assert cost("aten.convolution_backward", tensor(1, 8, 5, 5), **given) == Cost(2 * 9600, 4 * 9600)


def test_fused_activations() -> None:
    given = {"self": tensor(1, 2, 4, 4), "weight": tensor(3, 2, 1, 1), "bias": tensor(3)}
    assert cost("aten.cudnn_convolution_relu", tensor(1, 3, 4, 4), **given) == Cost(96, 192 + 48 + 48)
    added = {**given, "z": tensor(1, 3, 4, 4), "alpha": 2}
    assert cost("aten.cudnn_convolution_add_relu", tensor(1, 3, 4, 4), **added) == Cost(96, 192 + 48 + 3 * 48)


def test_time_batch_channel_layout() -> None:
    given = {"self": tensor(10, 2, 4), "weight": tensor(3, 4, 6), "bias": tensor(6)}
    assert cost("aten.conv_tbc", tensor(8, 2, 6), **given) == Cost(96 * 12, 96 * 24 + 96)


def test_complex_numbers() -> None:
    given = {"input": tensor(1, 1, 4, dtype="complex64"), "weight": tensor(1, 1, 1, dtype="complex64")}
    bias = tensor(1, dtype="complex64")
    assert cost("aten.conv1d", tensor(1, 1, 4, dtype="complex64"), **given, bias=bias) == Cost(16, 32 + 8)
