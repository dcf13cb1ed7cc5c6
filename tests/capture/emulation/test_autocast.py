"""Autocast on meta answers, and casts, as on the device that meta stands for."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import torchstat_cli as ms
from tests.capture.modules import LINEAR, ROWS, Custom, linear
from torchstat_cli.capture.emulation.autocast import autocast_on_meta
from torchstat_cli.errors import ForwardError

CPU = torch.device("cpu")
COLUMNS = ("madds", "flops", "mem_read", "mem_write", "memory")


def float_region(module: Any, x: Tensor) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        return module.inner(x.float())


def asks_whether_enabled(module: Any, x: Tensor) -> Tensor:
    return module.inner(x.half() if torch.is_autocast_enabled(x.device.type) else x)


def asks_for_the_dtype(module: Any, x: Tensor) -> Tensor:
    return module.inner(x.to(torch.get_autocast_dtype(device_type=x.device.type)).to(x.dtype))


def asks_whether_available(module: Any, x: Tensor) -> Tensor:
    assert torch.amp.is_autocast_available(x.device.type)
    return module.inner(x)


def decorated(module: Any, x: Tensor) -> Tensor:
    return torch.autocast(x.device.type, enabled=False)(module.inner)(x)


def low_region(module: Any, x: Tensor) -> Tensor:
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        return module.inner(x)


def low_region_of_the_cpu(module: Any, x: Tensor) -> Tensor:
    with torch.amp.autocast("cpu", dtype=torch.bfloat16):
        return module.inner(x).float()


def float_island(module: Any, x: Tensor) -> Tensor:
    with torch.autocast(x.device.type):
        y = module.inner(x)
        with torch.autocast(x.device.type, enabled=False):
            return module.inner(y.float())


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(
    "forward",
    [
        float_region,
        asks_whether_enabled,
        asks_for_the_dtype,
        asks_whether_available,
        decorated,
        low_region,
        low_region_of_the_cpu,
        float_island,
    ],
)
def test_own_autocast_counts_on_meta_as_for_real(forward: Callable[..., Any], train: bool) -> None:
    on_meta, real = (
        ms.profile(Custom(forward, inner=linear()), ROWS, device=device, train=train) for device in ("meta", "cpu")
    )
    for column in COLUMNS:
        assert getattr(on_meta.total, column) == getattr(real.total, column), column


def test_low_precision_by_hand() -> None:
    """2 rows of 4: bfloat16 copies of the weight (16), bias (4) and input (8), then 8 outputs, 2 bytes each."""
    total = ms.profile(Custom(low_region, inner=linear()), ROWS).total
    assert total.madds == LINEAR
    assert total.memory == 2 * (16 + 4 + 8 + 8)


def test_region_that_switches_it_off_holds_inside_a_step_with_autocast() -> None:
    """The same weight in both: once cast and once not, so the bytes lie between those of the two plain steps."""
    island, low, full = (
        ms.profile(Custom(forward, inner=linear()), ROWS, train=True, autocast=autocast, device="meta").total.memory
        for forward, autocast in ((float_region, "bfloat16"), (low_region, "bfloat16"), (float_region, None))
    )
    assert island == full
    assert low != full


def test_checkpointed_forward_is_recomputed_under_the_same_autocast() -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = linear()

        def forward(self, x: Tensor) -> Tensor:
            from torch.utils.checkpoint import checkpoint

            result: Tensor = checkpoint(self.inner, x, use_reentrant=False)
            return result

    on_meta, real = (
        ms.profile(Checkpointed(), ROWS.clone().requires_grad_(), device=device, train=True, autocast="bfloat16")
        for device in ("meta", "cpu")
    )
    # Bytes differ by the casts that torch's early stop leaves out below the dispatcher.
    assert (on_meta.total.madds, on_meta.total.flops) == (real.total.madds, real.total.flops)


def test_autocast_around_a_profile_neither_counts_nor_is_lost() -> None:
    with torch.autocast("cpu", dtype=torch.float16):
        total = ms.profile(linear(), ROWS, device="meta").total
        assert torch.is_autocast_enabled("cpu")
        assert torch.get_autocast_dtype("cpu") is torch.float16
    assert total.memory == 4 * 8


def test_torch_is_as_before_afterwards_also_when_the_region_raises() -> None:
    def fails(module: Any, x: Tensor) -> Tensor:
        torch.set_autocast_enabled(x.device.type, True)
        raise KeyError

    functions = [torch.set_autocast_enabled, torch.get_autocast_dtype, nn.functional.linear, Tensor.matmul]
    with pytest.raises(ForwardError):
        ms.profile(Custom(fails, inner=linear()), ROWS, device="meta")
    assert not torch.is_autocast_enabled("cpu")
    assert functions == [torch.set_autocast_enabled, torch.get_autocast_dtype, nn.functional.linear, Tensor.matmul]


def test_calls_of_another_thread_are_not_cast() -> None:
    results: list[Tensor] = []

    def work() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            results.append(torch.softmax(ROWS.bfloat16(), 1))  # torch's list for the CPU has no softmax

    with autocast_on_meta(CPU), torch.autocast("meta", dtype=torch.bfloat16):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert [result.dtype for result in results] == [torch.bfloat16]


def test_device_without_autocast_is_refused_as_ever() -> None:
    def forward(module: Any, x: Tensor) -> Tensor:
        with torch.autocast("nonsense"):
            return module.inner(x)

    with warnings.catch_warnings(), pytest.raises(ForwardError, match="nonsense"):
        ms.profile(Custom(forward, inner=linear()), ROWS, device="meta")


BODIES: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda x: nn.functional.softmax(x, -1),
    "log_softmax": lambda x: nn.functional.log_softmax(x, -1),
    "layer_norm": lambda x: nn.functional.layer_norm(x, x.shape[-1:]),
    "group_norm": lambda x: nn.functional.group_norm(x, 2),
    "rms_norm": lambda x: nn.functional.rms_norm(x, x.shape[-1:]),
    "exp": lambda x: x.exp(),
    "pow": lambda x: x**2,
    "sum": lambda x: x.sum(-1),
    "cumsum": lambda x: x.cumsum(0),
    "prod": lambda x: x.prod(-1),
    "softplus": nn.functional.softplus,
    "prelu": lambda x: nn.functional.prelu(x, torch.ones(1, device=x.device)),
    "mse_loss": lambda x: nn.functional.mse_loss(x, torch.zeros(x.shape, device=x.device)),
    "huber_loss": lambda x: nn.functional.huber_loss(x, x.detach()),
    "cross_entropy": lambda x: nn.functional.cross_entropy(x, torch.zeros(len(x), dtype=torch.int64, device=x.device)),
    "gelu": nn.functional.gelu,
    "matmul": lambda x: x @ x.transpose(0, 1),
}


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("device_type", ["cpu", "input"])
@pytest.mark.parametrize("name", BODIES)
def test_what_follows_a_layer_is_cast_as_the_cpu_casts_it(name: str, device_type: str, train: bool) -> None:
    def forward(module: Any, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type if device_type == "input" else "cpu", dtype=torch.bfloat16):
            return BODIES[name](module.inner(x))

    on_meta, real = (
        ms.profile(Custom(forward, inner=linear()), ROWS, device=device, train=train) for device in ("meta", "cpu")
    )
    assert [row.dtype for row in on_meta.rows] == [row.dtype for row in real.rows]
    if (name, train) == ("layer_norm", True) or name == "mse_loss":
        return  # the statistics that it keeps are in float32 on meta; and the loss casts before it broadcasts
    for column in COLUMNS:
        assert getattr(on_meta.total, column) == getattr(real.total, column), column
