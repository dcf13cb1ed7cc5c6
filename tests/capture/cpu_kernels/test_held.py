"""What CPU kernels hold of their own, held against the allocator: a forward pass, and the gradients of a sum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import torchstat_cli as ms

IMAGES = torch.randn(2, 16, 32, 32)
LAST = IMAGES.contiguous(memory_format=torch.channels_last)
MATRICES = torch.randn(8, 48, 48)
ROWS = torch.randn(2000, 128)
PLACES = torch.randint(0, 300, (2000,))
TRUTH = torch.randint(0, 2, (2, 16, 32, 32))


class Applied(nn.Module):
    """A scale that can be trained, then a function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.scale, self.function = nn.Parameter(torch.ones(())), function

    def forward(self, x: Tensor) -> Any:
        return self.function(x * self.scale)


def grouped(x: Tensor, how: str) -> Tensor:
    place = PLACES.to(x.device).unsqueeze(-1).expand_as(x)
    return x.new_zeros(300, 128).scatter_reduce(0, place, x, how, include_self=False)


def normalized(x: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, training=True)


CASES: dict[str, tuple[Callable[..., Any], Tensor]] = {
    "fold": (lambda x: F.fold(F.unfold(x, 3, padding=1), x.shape[-2:], 3, padding=1), IMAGES),
    "unfold": (lambda x: F.unfold(x, 2, stride=2), IMAGES),
    "rfft, irfft": (lambda x: torch.fft.irfft(torch.fft.rfft(x)), IMAGES),
    "rfft2, irfft2": (lambda x: torch.fft.irfft2(torch.fft.rfft2(x)), IMAGES),
    "rfftn, irfftn": (lambda x: torch.fft.irfftn(torch.fft.rfftn(x, dim=(1, 2, 3)), dim=(1, 2, 3)), IMAGES),
    "fft along an inner axis": (lambda x: torch.fft.fft(x, dim=1).real, IMAGES),
    "nearest": (lambda x: F.interpolate(x, scale_factor=2), IMAGES),
    "bilinear": (lambda x: F.interpolate(x, size=(50, 50), mode="bilinear"), IMAGES),
    "bilinear, large": (lambda x: F.interpolate(x, size=(80, 80), mode="bilinear"), IMAGES),
    "bilinear, channels last": (lambda x: F.interpolate(x, size=(50, 50), mode="bilinear"), LAST),
    "bicubic": (lambda x: F.interpolate(x, size=(50, 50), mode="bicubic"), IMAGES),
    "antialiased": (lambda x: F.interpolate(x, size=(13, 17), mode="bilinear", antialias=True), IMAGES),
    "antialiased, one axis": (lambda x: F.interpolate(x, size=(32, 17), mode="bicubic", antialias=True), IMAGES),
    "singular values": (torch.linalg.svdvals, MATRICES),
    "nuclear norm": (lambda x: torch.linalg.matrix_norm(x, "nuc"), MATRICES),
    "inverse": (torch.linalg.inv, MATRICES),
    "pseudo-inverse": (torch.linalg.pinv, MATRICES),
    "symmetric": (lambda x: torch.linalg.eigh(x + x.mT)[1], MATRICES),
    "symmetric, values": (lambda x: torch.linalg.eigvalsh(x + x.mT), MATRICES),
    "QR": (lambda x: torch.linalg.qr(x)[0], MATRICES),
    "LU": (lambda x: torch.linalg.lu(x)[2], MATRICES),
    "distances": (lambda x: torch.cdist(x[:, :30], x), MATRICES),
    "few distances": (lambda x: torch.cdist(x[:, :20], x[:, 20:40]), MATRICES),
    "sampled": (lambda x: F.grid_sample(x, x[:, :2].permute(0, 2, 3, 1), align_corners=False), IMAGES),
    "softmax over channels": (lambda x: x.softmax(1), IMAGES),
    "log-softmax over channels": (lambda x: x.log_softmax(1), IMAGES),
    "logsumexp": (lambda x: x.logsumexp(1), IMAGES),
    "a loss": (lambda x: F.mse_loss(x, torch.zeros_like(x)), IMAGES),
    "a loss of two": (lambda x: F.binary_cross_entropy_with_logits(x, torch.zeros_like(x)), IMAGES),
    "a loss of every element": (lambda x: F.huber_loss(x, torch.zeros_like(x), reduction="none"), IMAGES),
    "the third smallest": (lambda x: x.kthvalue(3)[0], IMAGES),
    "integers and numbers": (lambda x: x * x.argsort(1), IMAGES),
    "truth and numbers": (lambda x: x * (x > 0), IMAGES),
    "a sum of truth": (lambda x: x.sum() + (x > 0).sum(1), IMAGES),
    "complex": (lambda x: torch.complex(x, x).abs(), IMAGES),
    "largest of a group": (lambda x: grouped(x, "amax"), ROWS),
    "mean of a group": (lambda x: grouped(x, "mean"), ROWS),
    "sum of a group": (lambda x: x.new_zeros(300, 128).index_add(0, PLACES.to(x.device), x), ROWS),
    "gathered": (lambda x: x[PLACES.to(x.device)], ROWS),
    "dropout": (lambda x: F.dropout(x, 0.3, True), IMAGES),
    "linear of channels": (lambda x: F.linear(x.permute(0, 2, 3, 1), x[0, 0, :8, :16], x[0, 0, 0, :8]), IMAGES),
    "shuffled": (lambda x: F.pixel_shuffle(x, 2), IMAGES),
    "reflected": (lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"), IMAGES),
    "largest in windows": (lambda x: F.max_pool2d(x, 2), IMAGES),
    "largest in windows of a sequence": (lambda x: F.max_pool1d(x.flatten(2), 2), IMAGES),
    "means in windows": (lambda x: F.avg_pool2d(x, 2), IMAGES),
    "normalized": (lambda x: F.layer_norm(x, (32,)), IMAGES),
    "normalized twice": (lambda x: normalized(normalized(x)), IMAGES),
    "GELU": (F.gelu, IMAGES),
    "attention": (lambda x: F.scaled_dot_product_attention(x, x, x), IMAGES),
    "long attention": (lambda x: F.scaled_dot_product_attention(x, x, x), torch.randn(1, 2, 800, 16)),
    "plain attention": (lambda x: F.scaled_dot_product_attention(x, x, x[..., :16]), IMAGES),
    "masked attention": (lambda x: F.scaled_dot_product_attention(x, x, x, TRUTH.to(x.device)[0, 0] > 2), IMAGES),
    "gradients that meet": (lambda x: (x.sin() * x.cos()).exp() + x.tanh() * x.sigmoid(), IMAGES),
}  # fmt: skip


@pytest.fixture(autouse=True)
def two_threads() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("train", [False, True], ids=["forward", "training"])
@pytest.mark.parametrize("name", CASES)
def test_the_peak_is_the_allocators(name: str, train: bool) -> None:
    function, x = CASES[name]
    model = Applied(function)
    options: dict[str, Any] = {"memory": True, "train": True, "optimizer": "sgd"} if train else {"memory": True}
    real = ms.profile(model, x, device="cpu", **options)
    assert real.memory is not None
    assert real.memory.measured is not None
    simulated = ms.profile(model, x, device="meta", **options).total.peak or 0
    assert abs(simulated - real.memory.measured) <= 0.01 * real.memory.measured + 256


def test_a_masked_choice_holds_the_places_of_what_is_chosen() -> None:
    real = ms.profile(Applied(lambda x: x[x > 0]), IMAGES, device="cpu", memory=True)
    assert real.memory is not None
    assert real.memory.measured is not None
    assert abs((real.total.peak or 0) - real.memory.measured) <= 0.01 * real.memory.measured


def test_a_folded_image_keeps_the_storage_of_its_windows() -> None:
    report = ms.profile(Applied(CASES["fold"][0]), IMAGES, memory=True)
    windows = IMAGES.nbytes * 9
    assert report.memory is not None
    assert report.memory.timeline[-1].total >= windows  # the result alone is a ninth


def test_nothing_of_it_is_counted_for_a_gpu() -> None:
    function, x = CASES["distances"]
    on_cpu, on_gpu = (ms.profile(Applied(function), x, memory=True, attention=kind) for kind in ("auto", "flash"))
    assert (on_cpu.total.peak or 0) > (on_gpu.total.peak or 0)


def test_deformable_convolution_by_its_columns() -> None:
    """A case that was measured: 16 channels, 3 x 3 taps, one image of 64 x 64, a peak of 3.71 MB, simulated 0.83."""
    from torchstat_cli.capture.cpu_kernels.table import held_bytes
    from torchstat_cli.records import OpRecord, TensorRecord

    def tensor(*shape: int) -> TensorRecord:
        return TensorRecord(shape, (1,) * len(shape), "float32", 4)

    arguments = {"input": tensor(1, 16, 64, 64), "weight": tensor(16, 16, 3, 3)}
    held = held_bytes(OpRecord("torchvision.deform_conv2d", "default", arguments, (tensor(1, 16, 64, 64),)))
    assert held == 4 * (16 * 9 * 64 * 64 + 2 * 16 * 64 * 64)
    assert abs(0.83e6 + (held or 0) - 3.71e6) < 0.01e6
