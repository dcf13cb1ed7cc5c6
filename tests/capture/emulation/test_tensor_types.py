"""The old names of tensor types work on meta as on the device that it stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import torchstat_cli as ms
from tests.capture.modules import ROWS, Custom, linear
from torchstat_cli.capture.emulation.tensor_types import types_as_at_home


@pytest.mark.parametrize(
    "cast",
    [
        lambda module, x: x.type(module.inner.weight.type()),
        lambda module, x: x.type("torch.FloatTensor"),
        lambda module, x: x.double().type(torch.FloatTensor),
        lambda module, x: x.half().type(dtype=torch.float32),
        lambda module, x: x.double().type(torch.Tensor),
        lambda module, x: x if x.type() == "torch.FloatTensor" else x.half(),
        lambda module, x: x.double().type_as(x),
    ],
)
def test_types_by_name_count_as_for_real(cast: Callable[..., Any]) -> None:
    def forward(module: Any, x: Tensor) -> Tensor:
        result: Tensor = module.inner(cast(module, x))
        return result

    on_meta, real = (ms.profile(Custom(forward, inner=linear()), ROWS, device=device) for device in ("meta", "cpu"))
    assert on_meta.total == real.total


def test_names_of_a_gpu_stand_for_one() -> None:
    with types_as_at_home(torch.device("cuda", 0)):
        meta = torch.empty(2, device="meta")
        assert meta.type() == "torch.cuda.FloatTensor"
        assert meta.type("torch.cuda.HalfTensor").dtype is torch.float16
        assert meta.type(meta.type()).is_meta
        assert torch.empty(2).type() == "torch.FloatTensor"
    assert torch.empty(2, device="meta").type() == "torch.meta.FloatTensor"


def test_type_of_another_device_is_refused_as_there() -> None:
    with types_as_at_home(torch.device("cpu")), pytest.raises(Exception, match="torch\\.nonsense"):
        torch.empty(2, device="meta").type("torch.nonsense")
