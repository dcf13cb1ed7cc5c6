"""What convolutions hold on the CPU: copies by hand, whole calls against torch's allocator, and torch's own choices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import torchstat_cli as ms
from torchstat_cli.capture.cpu_kernels.convolutions import convolution_bytes
from torchstat_cli.capture.cpu_kernels.onednn import Convolution, Copies, forward, input_gradient, weight_gradient
from torchstat_cli.capture.dispatch.memo import Memo
from torchstat_cli.records import OpRecord

as_simulated = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available() or torch.backends.cpu.get_cpu_capability() != "AVX512",
    reason="what is simulated is oneDNN on a CPU with AVX-512",
)


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    """As many as are simulated."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


# --- by hand ---------------------------------------------------------------------------------------------------------

# 2 images of 10 x 10 with 20 channels, 3 x 3 taps with padding, 40 channels out. In blocks of 16: 32 and 48 channels.
CONVOLUTION = Convolution(
    batch=2,
    groups=1,
    inner=20,
    outer=40,
    inner_area=100,
    outer_area=100,
    outer_plane=100,
    outer_reach=144,
    taps=9,
    width=3,
    reach=2,
    edge=1,
    inner_row=10,
    outer_row=10,
    one_row=False,
    axes=2,
    strided=False,
    dilated=False,
    padded=True,
    transposed=False,
    channels_last=False,
)
BLOCKED = Copies(2 * 32 * 100, 32 * 48 * 9, 2 * 48 * 100)


def test_channels_are_padded_to_whole_vectors_on_both_sides() -> None:
    assert forward(CONVOLUTION) == input_gradient(CONVOLUTION) == weight_gradient(CONVOLUTION) == BLOCKED


def test_an_image_with_few_channels_is_read_as_it_is() -> None:
    three = replace(CONVOLUTION, inner=3)
    assert forward(three) == weight_gradient(three) == Copies(0, 3 * 48 * 9, 2 * 48 * 100)
    assert input_gradient(three) == Copies(2 * 16 * 100, 16 * 48 * 9, 2 * 48 * 100)


def test_depthwise_weights_have_one_block() -> None:
    depthwise = replace(CONVOLUTION, groups=40, inner=40)
    assert forward(depthwise) == weight_gradient(depthwise) == Copies(2 * 48 * 100, 48 * 9, 2 * 48 * 100)


def test_groups_that_fill_no_block_go_through_columns() -> None:
    odd = replace(CONVOLUTION, groups=2, inner=20, outer=44)  # 10 and 22 channels in a group
    assert forward(odd) == Copies(outer=2 * 44 * 100, work=2 * 10 * 9 * 100)  # of two threads


def test_channels_last_copies_the_weights_alone() -> None:
    last = replace(CONVOLUTION, channels_last=True)
    assert forward(last) == Copies(weights=48 * 20 * 9)
    assert input_gradient(last) == Copies(weights=32 * 40 * 9)
    assert weight_gradient(last) == Copies(weights=32 * 48 * 9, turned=True)


# --- against the allocator -------------------------------------------------------------------------------------------

# Channels in and out, kernel, stride, then whatever else.
SHAPES: dict[str, tuple[int, int, int, int, dict[str, Any]]] = {
    "blocks": (32, 64, 3, 1, {"padding": 1}),
    "padded blocks": (17, 100, 3, 1, {"padding": 1, "bias": False}),
    "an image": (3, 32, 7, 2, {"padding": 3}),
    "one channel": (1, 16, 5, 1, {"padding": 2}),
    "eight channels": (8, 24, 3, 1, {"padding": 1}),
    "one tap": (64, 100, 1, 1, {}),
    "one tap, strided": (64, 128, 1, 2, {}),
    "strided": (64, 64, 3, 2, {"padding": 1}),
    "dilated": (16, 32, 3, 1, {"padding": 2, "dilation": 2}),
    "far apart": (64, 32, 3, 1, {"padding": 36, "dilation": 36}),
    "patches": (3, 192, 16, 16, {}),
    "depthwise": (48, 48, 3, 1, {"padding": 1, "groups": 48}),
    "depthwise, wide": (48, 48, 7, 1, {"padding": 3, "groups": 48}),
    "groups": (64, 64, 3, 1, {"padding": 1, "groups": 16}),
}


def error(model: nn.Module, given: Tensor, *, train: bool) -> float:
    """Simulated peak against the allocator's, relative."""
    options: dict[str, Any] = {"memory": True, "train": train}
    real = ms.profile(model, given, device="cpu", **options).memory
    assert real is not None
    assert real.measured is not None
    return (ms.profile(model, given, **options).total.peak or 0) / real.measured - 1


def layer(name: str) -> nn.Module:
    inner, outer, kernel, stride, options = SHAPES[name]
    learns = nn.BatchNorm2d(inner)  # so that the input of the convolution has a gradient
    return nn.Sequential(learns, nn.Conv2d(inner, outer, kernel, stride, **options))


@as_simulated
@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(("batch", "side"), [(1, 160), (8, 64)])
@pytest.mark.parametrize("name", SHAPES)
def test_a_convolution_holds_what_the_allocator_says(name: str, batch: int, side: int, train: bool) -> None:
    given = torch.zeros(batch, SHAPES[name][0], side, side)
    assert abs(error(layer(name), given, train=train)) < 0.015


@as_simulated
@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("name", ["blocks", "padded blocks", "strided", "depthwise", "depthwise, wide", "groups"])
def test_channels_last_against_the_allocator(name: str, train: bool) -> None:
    model = layer(name).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    given = torch.zeros(8, SHAPES[name][0], 64, 64).contiguous(memory_format=torch.channels_last)
    assert abs(error(model, given, train=train)) < 0.015


OTHERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "one axis": (nn.Conv1d(64, 100, 3, padding=1), (8, 64, 2000)),
    "one axis, wide": (nn.Conv1d(96, 96, 31, padding=15, groups=96), (4, 96, 1000)),
    "three axes": (nn.Conv3d(16, 24, 3, padding=1), (2, 16, 24, 24, 24)),
    "three axes, one image": (nn.Conv3d(4, 8, 3, padding=1), (1, 4, 16, 16, 16)),
    "transposed": (nn.ConvTranspose2d(64, 32, 2, stride=2), (8, 64, 32, 32)),
    "transposed, stride 1": (nn.ConvTranspose2d(64, 32, 3, padding=1), (8, 64, 32, 32)),
    "small image": (nn.Conv2d(16, 64, 3, padding=1), (1, 16, 32, 32)),
    "double precision": (nn.Conv2d(16, 24, 3, padding=1, groups=2).double(), (4, 16, 32, 32)),
}


@as_simulated
@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("name", OTHERS)
def test_other_convolutions_against_the_allocator(name: str, train: bool) -> None:
    model, shape = OTHERS[name]
    given = torch.zeros(shape, dtype=next(model.parameters()).dtype)
    assert abs(error(model, given, train=train)) < 0.015


def test_a_gpu_is_not_given_the_copies_of_the_cpu() -> None:
    """In 8 * 16 * 64 * 64, weights 16 * 32 * 9, out twice as much as in, 4 bytes each."""
    model, given = nn.Conv2d(16, 32, 3, padding=1, bias=False), torch.zeros(8, 16, 64, 64)
    exact = 4 * (3 * given.numel() + 16 * 32 * 9)
    on_gpu = ms.profile(model, given, memory=True, attention="flash")
    assert on_gpu.total.peak == exact
    as_on_cpu = ms.profile(model, given, memory=True)
    assert (as_on_cpu.total.peak or 0) > exact
    assert (on_gpu.total.flops, on_gpu.total.memory) == (as_on_cpu.total.flops, as_on_cpu.total.memory)


# --- torch's choices -------------------------------------------------------------------------------------------------


def record(given: Tensor, weight: Tensor, **options: Any) -> OpRecord:
    convolve = torch.ops.aten.convolution.default
    axes = given.dim() - 2
    call = {"stride": 1, "padding": 1, "dilation": 1, "groups": 1, "transposed": False, **options}
    lists = [[call[name]] * axes for name in ("stride", "padding", "dilation")]
    made, _ = Memo().call(convolve, (given, weight, None, *lists, call["transposed"], [0] * axes, call["groups"]), {})
    return made


@as_simulated
@pytest.mark.parametrize(
    ("shape", "weight", "dtype"),
    [
        ((1, 3, 8, 8), (4, 3, 3, 3), torch.float32),
        ((1, 20, 32, 32), (4, 20, 3, 3), torch.float32),
        ((1, 21, 32, 32), (4, 21, 3, 3), torch.float32),
        ((2, 3, 8, 8), (4, 3, 1, 1), torch.float32),
        ((1, 3, 8, 8), (4, 3, 5, 5), torch.float32),
        ((1, 4, 16, 16, 16), (4, 4, 3, 3, 3), torch.float32),
        ((1, 40, 32, 16, 2), (4, 40, 3, 3, 3), torch.float32),
        ((4, 30, 32, 32), (4, 30, 3, 3), torch.float64),
    ],
)
def test_onednn_is_taken_where_torch_takes_it(
    shape: tuple[int, ...], weight: tuple[int, ...], dtype: torch.dtype
) -> None:
    axes = len(shape) - 2
    settings = ([1] * axes, [1] * axes, [1] * axes, False, [0] * axes, 1)
    real = (torch.empty(shape, dtype=dtype), torch.empty(weight, dtype=dtype))
    by_onednn = torch._C._select_conv_backend(*real, None, *settings) == torch._C._ConvBackend.Mkldnn
    given = torch.empty(shape, dtype=dtype, device="meta")
    made = record(given, torch.empty(weight, dtype=dtype, device="meta"))
    columns = weight[1] * torch.Size(weight[2:]).numel() * torch.Size(made.output.shape[2:]).numel()
    held = convolution_bytes(made)
    assert (held == columns * shape[0] * dtype.itemsize) != by_onednn


def test_other_operators_are_none_of_this() -> None:
    made, _ = Memo().call(torch.ops.aten.relu.default, (torch.empty(3, device="meta"),), {})
    assert convolution_bytes(made) is None
