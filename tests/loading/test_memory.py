"""Bytes held, and bytes that may be used."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from torchstat_cli.loading import memory, memory_limit, module_bytes


def test_bytes_of_a_module_count_ties_once() -> None:
    module = nn.ModuleList([nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False), nn.BatchNorm1d(3)])
    module[1].weight = module[0].weight
    # 16 weights, 3 + 3 of the norm, 3 + 3 running statistics, all 4 bytes; one int64 step counter
    assert module_bytes(module) == (16 + 6 + 6) * 4 + 8
    assert module_bytes(module.to(torch.bfloat16)) == (16 + 6 + 6) * 2 + 8


def test_lazy_modules_count_nothing_yet() -> None:
    assert module_bytes(nn.LazyLinear(3)) == 0


def test_the_limit_is_half_of_what_is_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_available_memory", lambda: 1000)
    assert memory_limit() == 500
    monkeypatch.setattr(memory, "_available_memory", lambda: 1024**4)
    assert memory_limit() == 4 * 1024**3


def test_this_machine_has_some_memory() -> None:
    assert 2**20 < memory_limit() <= 4 * 2**30
