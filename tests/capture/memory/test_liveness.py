"""Live bytes of small modules, computed by hand; 1024 float32 are 4096 bytes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import torchstat_cli as ms
from torchstat_cli.records import MemoryProfile

KIB = 4096


class Wrapped(nn.Module):
    """A module of one function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def memory_of(function: Callable[[Tensor], Tensor], device: str = "meta") -> MemoryProfile:
    report = ms.profile(Wrapped(function), torch.zeros(32, 32), memory=True, device=device)
    assert report.memory is not None
    return report.memory


def chain(x: Tensor) -> Tensor:
    y = x + 1
    z = y * 2
    del y
    return z - 3  # x, z and the result: y is gone


def held_slice(x: Tensor) -> Tensor:
    y = (x + 1)[:1]  # one row keeps all of its storage
    return torch.cat((y, x.relu()))


CASES: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "views allocate nothing": (lambda x: x.view(-1).expand(2, -1).t(), KIB),
    "in-place work allocates nothing": (lambda x: (x + 1).mul_(2).relu_(), 2 * KIB),
    "contiguous copies": (lambda x: x.t().contiguous(), 2 * KIB),
    "temporaries of a chain are freed": (chain, 3 * KIB),
    "a slice holds its storage": (held_slice, 3 * KIB + KIB + 128),
    "two live branches": (lambda x: (x + 1) * (x + 2), 4 * KIB),
    "a matrix without lines is copied": (lambda x: torch.mm(x[:1].expand(32, 32), x.t()), 3 * KIB),
    "interpolation holds nothing": (lambda x: F.interpolate(x[None, None], scale_factor=2, mode="bilinear"), 5 * KIB),
}


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("name", CASES)
def test_peak_by_hand(name: str, device: str) -> None:
    function, expected = CASES[name]
    memory = memory_of(function, device)
    assert memory.peak.total == expected
    if device == "cpu":
        assert memory.measured is not None
        assert 0 <= memory.measured - expected <= 16  # Python numbers become tensors of one element below the tape


def test_a_storage_resized_to_nothing_is_freed() -> None:
    def frees(x: Tensor) -> Tensor:
        y = x + 1
        y.untyped_storage().resize_(0)
        return x * 2

    memory = memory_of(frees, "cpu")
    assert memory.peak.total == 2 * KIB
    assert "resize_" not in vars(torch.UntypedStorage)


def test_classes_and_the_place_of_the_peak() -> None:
    model = nn.Sequential(nn.Linear(32, 32, bias=False), nn.ReLU())
    model.register_buffer("table", torch.zeros(7))
    report = ms.profile(model, torch.zeros(32, 32), memory=True)
    assert report.memory is not None
    held = report.memory.at_peak()
    # The weight, the input, and the outputs of both layers: the first is freed once the second has run.
    assert (held["parameter"], held["buffer"], held["input"]) == (KIB, 28, KIB)
    assert held["activation"] == 2 * KIB
    assert (report.memory.peak.path, report.memory.peak.op) == ("1", "aten.relu")
    assert report.total.peak == 4 * KIB + 28


def test_bytes_at_entry_within_and_kept() -> None:
    report = ms.profile(nn.Sequential(nn.Linear(32, 32, bias=False), nn.ReLU()), torch.zeros(32, 32), memory=True)
    first, second = (row.live for row in report.rows)
    assert first is not None
    assert second is not None
    assert (first.entry, first.peak, first.kept) == (2 * KIB, 3 * KIB, KIB)
    assert (second.entry, second.peak) == (3 * KIB, 4 * KIB)
    assert report.folded(0).rows[0].live is not None


def test_what_composites_hold_inside_is_seen() -> None:
    # (4, 8, 16) @ (16, 8)^T of a transposed operand: matmul copies nothing; an expanded one is copied to a batch.
    def expanded(x: Tensor) -> Tensor:
        return torch.matmul(x.view(2, 4, 8, 16), x.view(2, 4, 8, 16).transpose(-1, -2)[:, :1])

    on_meta, real = memory_of(expanded), memory_of(expanded, "cpu")
    assert on_meta.peak.total == real.measured == 2 * KIB + 2 * 4 * 8 * 8 * 4


def test_max_pooling_keeps_indices_while_it_runs() -> None:
    pooled = ms.profile(nn.MaxPool2d(2), torch.zeros(1, 1, 32, 32), memory=True)
    assert pooled.total.peak == KIB + 1024 + 2048  # input, output, one int64 per output element


def test_memory_changes_no_other_number() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten())
    image = torch.zeros(1, 3, 16, 16)
    plain, watched = ms.profile(model, image), ms.profile(model, image, memory=True)
    assert plain.operators == watched.operators
    assert plain.total.flops == watched.total.flops
    assert plain.total.peak is None
