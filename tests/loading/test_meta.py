"""Modules without memory: the same parameters and ties, and nothing imported or changed on the way."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from torchstat_cli.loading.meta import (
    copy_without_memory,
    intercepted_parameters,
    meta_device,
    meta_parameters,
    meta_twin,
)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4, bias=False)
        self.second.weight = self.first.weight
        shared = nn.Parameter(torch.ones(3), requires_grad=False)
        self.one, self.two = shared, shared
        self.register_buffer("table", torch.arange(4).flip(0))


def test_on_the_meta_device_everything_is_meta() -> None:
    with meta_device():
        module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.LSTM(4, 4), nn.Embedding(9, 4))
        positions = torch.arange(2, 11, 3)
        steps = torch.linspace(0, 1, 7, dtype=torch.float64)
    assert all(tensor.is_meta for tensor in (*module.parameters(), *module.buffers()))
    assert (tuple(positions.shape), positions.dtype, positions.is_meta) == ((3,), torch.int64, True)
    assert (tuple(steps.shape), steps.dtype, steps.is_meta) == ((7,), torch.float64, True)


def test_with_meta_parameters_buffers_stay_real_and_ties_hold() -> None:
    with meta_parameters():
        module = Tied()
    assert all(parameter.is_meta for parameter in module.parameters())
    assert module.second.weight is module.first.weight
    assert module.one is module.two
    assert not module.one.requires_grad
    assert module.get_buffer("table").tolist() == [3, 2, 1, 0]
    assert sum(parameter.numel() for parameter in module.parameters()) == 16 + 4 + 3


def test_lstms_use_the_meta_parameters_too() -> None:
    with meta_parameters():
        module = nn.LSTM(4, 4)
    assert all(weight.is_meta for weight in module._flat_weights)  # type: ignore[union-attr]


@pytest.mark.parametrize("raises", [False, True])
def test_registration_is_put_back(raises: bool) -> None:
    original = nn.Module.register_parameter
    try:
        with intercepted_parameters(lambda parameter: parameter):
            assert nn.Module.register_parameter is not original
            if raises:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert raises
    assert nn.Module.register_parameter is original


def test_lazy_parameters_and_missing_ones_pass() -> None:
    with meta_parameters():
        assert nn.Linear(2, 2, bias=False).bias is None
        assert isinstance(nn.LazyLinear(3).weight, nn.UninitializedParameter)


def test_a_twin_keeps_class_and_attributes() -> None:
    class Marked(nn.Parameter):
        pass

    parameter = Marked(torch.ones(2, 3, dtype=torch.bfloat16), requires_grad=False)
    parameter.no_decay = True  # type: ignore[attr-defined]
    twin = meta_twin(parameter)
    assert (type(twin), twin.is_meta, twin.dtype, tuple(twin.shape)) == (Marked, True, torch.bfloat16, (2, 3))
    assert twin.no_decay  # type: ignore[attr-defined]
    assert not twin.requires_grad


def test_a_copy_without_memory_leaves_the_original() -> None:
    module = Tied()
    before = copy.deepcopy(module.state_dict())
    twin = copy_without_memory(module)
    assert all(parameter.is_meta for parameter in twin.parameters())
    assert twin.second.weight is twin.first.weight  # type: ignore[union-attr]
    assert twin.get_buffer("table").tolist() == [3, 2, 1, 0]
    assert not any(parameter.is_meta for parameter in module.parameters())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_building_on_meta_imports_no_compiler() -> None:
    program = """
import sys, torch
from torchstat_cli.loading.meta import meta_device, meta_parameters
for context in (meta_device, meta_parameters):
    with context():
        module = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.LSTM(4, 4))
        torch.nn.init.kaiming_normal_(module[0].weight)
        torch.nn.init.trunc_normal_(module[0].weight)
        torch.nn.init.normal_(module[2].weight_ih_l0, std=0.02)
        torch.arange(8)
print([name for name in ("torch._dynamo", "torch._inductor", "sympy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
