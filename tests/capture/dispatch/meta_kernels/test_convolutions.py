"""The rules for convolutions give what the CPU's kernels give, whose results have their channels last where torch's
meta kernels leave them second.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch._ops import OpOverload

from torchstat_cli.capture.dispatch.meta_kernels import infer

ORDERS: dict[int, torch.memory_format] = {2: torch.channels_last, 3: torch.channels_last_3d}
CALLS: list[tuple[str, int, dict[str, Any]]] = [
    ("plain", 2, {}),
    ("plain", 3, {}),
    ("plain", 1, {}),
    ("transposed", 2, {"stride": [2, 2], "output_padding": [1, 1]}),
    ("transposed", 3, {"stride": [2, 2, 2]}),
]


def tensors(kind: str, axes: int, last: str, dtype: torch.dtype, device: str) -> list[Tensor]:
    """An input with 6 channels and a weight to 4; ``last`` names which of them have their channels last."""
    shape = (6, 4) if kind == "transposed" else (4, 6)
    made = [torch.zeros(2, 6, *[7] * axes, dtype=dtype), torch.zeros(*shape, *[3] * axes, dtype=dtype)]
    for place, name in enumerate(("input", "weight")):
        if axes in ORDERS and last in (name, "both"):
            made[place] = made[place].contiguous(memory_format=ORDERS[axes])
    return [torch.empty_strided(tensor.shape, tensor.stride(), dtype=dtype, device=device) for tensor in made]


def call(kind: str, axes: int, options: dict[str, Any]) -> tuple[OpOverload, dict[str, Any]]:
    """torch's general operator."""
    settings = {"stride": [1] * axes, "padding": [1] * axes, "dilation": [1] * axes, "output_padding": [0] * axes}
    return torch.ops.aten.convolution.default, {
        **settings,
        **options,
        "bias": None,
        "transposed": kind == "transposed",
        "groups": 1,
    }


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("last", ["neither", "input", "weight", "both"])
@pytest.mark.parametrize(("kind", "axes", "options"), CALLS)
def test_a_result_lies_as_that_of_the_cpu(
    kind: str, axes: int, options: dict[str, Any], last: str, dtype: torch.dtype
) -> None:
    func, settings = call(kind, axes, options)
    real = func(*tensors(kind, axes, last, dtype, "cpu"), **settings)
    ours = infer(func, tuple(tensors(kind, axes, last, dtype, "meta")), settings)
    if ours is NotImplemented:  # torch's meta kernel is right then
        assert kind == "transposed" or dtype is torch.float64
        ours = func(*tensors(kind, axes, last, dtype, "meta"), **settings)
    assert (ours.shape, ours.stride(), ours.dtype) == (real.shape, real.stride(), real.dtype)


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d"])
def test_whole_operators_as_well(name: str) -> None:
    kind = "transposed" if "transpose" in name else "plain"
    func: OpOverload = getattr(torch.ops.aten, name).input if kind == "transposed" else torch.ops.aten.conv2d.default
    real = func(*tensors(kind, 2, "input", torch.float32, "cpu"))
    ours = infer(func, tuple(tensors(kind, 2, "input", torch.float32, "meta")), {})
    assert (ours.shape, ours.stride()) == (real.shape, real.stride())


def test_what_torch_refuses_is_left_to_torch() -> None:
    given, weight = tensors("plain", 2, "both", torch.float32, "meta")
    for wrong in (weight[:, :5], weight.double(), weight.expand(4, 6, 3, 3)[:, :, :1].expand(4, 6, 9, 3)):
        assert infer(torch.ops.aten.conv2d.default, (given, wrong), {}) is NotImplemented
