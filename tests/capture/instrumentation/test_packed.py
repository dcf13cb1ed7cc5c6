"""Live models with packed weights: params are the elements that they stand for, bytes those that are stored."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import torchstat_cli as ms

INPUTS, OUTPUTS, GROUPS = 256, 512, 2
LOGICAL = INPUTS * OUTPUTS


class QuantLinear(nn.Module):
    """As GPTQ and AWQ register it: everything but the bias in buffers."""

    def __init__(self, weight: tuple[int, int], zeros: int, order: bool) -> None:
        super().__init__()
        self.register_buffer("qweight", torch.zeros(weight, dtype=torch.int32))
        self.register_buffer("qzeros", torch.zeros(GROUPS, zeros, dtype=torch.int32))
        self.register_buffer("scales", torch.zeros(GROUPS, OUTPUTS, dtype=torch.float16))
        if order:
            self.register_buffer("g_idx", torch.zeros(INPUTS, dtype=torch.int32))
        self.register_buffer("bias", torch.zeros(OUTPUTS, dtype=torch.float16))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows @ torch.zeros(INPUTS, OUTPUTS, dtype=rows.dtype) + self.bias


class Compressed(nn.Module):
    """As compressed-tensors registers it."""

    def __init__(self) -> None:
        super().__init__()
        packed = torch.zeros(OUTPUTS, INPUTS // 8, dtype=torch.int32)
        self.weight_packed = nn.Parameter(packed, requires_grad=False)
        self.register_buffer("weight_scale", torch.zeros(OUTPUTS, GROUPS, dtype=torch.bfloat16))
        self.register_buffer("weight_shape", torch.tensor([OUTPUTS, INPUTS]))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows @ torch.zeros(INPUTS, OUTPUTS, dtype=rows.dtype)


ROWS = torch.zeros(1, INPUTS)
WORDS = LOGICAL // 8 * 4  # bytes of all 4-bit elements
ZEROS, SCALES, ORDER = GROUPS * OUTPUTS // 8 * 4, GROUPS * OUTPUTS * 2, INPUTS * 4


@pytest.mark.parametrize(
    ("layer", "nbytes"),
    [
        (QuantLinear((INPUTS // 8, OUTPUTS), OUTPUTS // 8, order=True), WORDS + ZEROS + SCALES + ORDER),
        (QuantLinear((INPUTS, OUTPUTS // 8), OUTPUTS // 8, order=False), WORDS + ZEROS + SCALES),
    ],
    ids=["gptq", "awq"],
)
def test_words_in_buffers(layer: nn.Module, nbytes: int) -> None:
    report = ms.profile(nn.Sequential(layer), ROWS)
    total = report.total
    assert (total.params, total.trainable_params, total.param_bytes) == (LOGICAL, 0, nbytes)
    assert (total.buffers, total.buffer_bytes) == (OUTPUTS, 2 * OUTPUTS)  # the bias
    assert sum(row.params for row in report.rows) == total.params
    assert layer.qweight.dtype == torch.int32


def test_compressed_tensors() -> None:
    total = ms.profile(nn.Sequential(Compressed()), ROWS).total
    assert (total.params, total.buffers) == (LOGICAL, 0)
    assert total.param_bytes == WORDS + 2 * OUTPUTS * GROUPS + 2 * 8


class Params4bit(nn.Parameter):
    """As bitsandbytes makes it: bytes of two elements, the shape in a quant state."""

    quant_state: Any


class Linear4bit(nn.Linear):
    def __init__(self) -> None:
        super().__init__(INPUTS, OUTPUTS, bias=False)
        packed = torch.zeros(LOGICAL // 2, 1, dtype=torch.uint8)
        self.weight = Params4bit(packed, requires_grad=False)
        nested = SimpleNamespace(absmax=torch.zeros(8), code=torch.zeros(256))
        self.weight.quant_state = SimpleNamespace(
            shape=torch.Size([OUTPUTS, INPUTS]),
            absmax=torch.zeros(LOGICAL // 64, dtype=torch.uint8),
            code=torch.zeros(16),
            state2=nested,
        )

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return rows @ torch.zeros(INPUTS, OUTPUTS)


def test_four_bits() -> None:
    total = ms.profile(Linear4bit(), ROWS).total
    assert total.params == LOGICAL
    assert total.param_bytes == LOGICAL // 2 + LOGICAL // 64 + 4 * 16 + 4 * 8 + 4 * 256


def test_a_plain_module_with_a_buffer_of_that_name() -> None:
    class Own(nn.Linear):
        def __init__(self) -> None:
            super().__init__(4, 4)
            self.register_buffer("qweight", torch.zeros(3))

    total = ms.profile(Own(), torch.zeros(1, 4)).total
    assert (total.params, total.buffers) == (20, 3)
