"""Models, inputs and runs under torch's FakeTensorMode, and what a shared memo keeps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

import torchstat_cli as ms
from torchstat_cli.capture.dispatch.memo import shared_memo
from torchstat_cli.errors import UsageError

ROWS = torch.ones(2, 4)
OPTIONS: list[tuple[dict[str, Any], int]] = [({}, 32), ({"memory": True}, 32), ({"train": True}, 64)]


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))


@pytest.mark.parametrize(("options", "madds"), OPTIONS, ids=str)
def test_real_model_while_the_mode_is_open(options: dict[str, Any], madds: int) -> None:
    real = model()
    with FakeTensorMode():
        assert ms.profile(real, ROWS, **options).total.madds == madds
        assert type(torch.ones(1)) is FakeTensor  # the mode is open again
    assert all(type(parameter) is nn.Parameter for parameter in real.parameters())


@pytest.mark.parametrize(("options", "madds"), OPTIONS, ids=str)
def test_fake_model_and_inputs(options: dict[str, Any], madds: int) -> None:
    with FakeTensorMode():
        fake, rows = model(), torch.ones(2, 4)
        assert ms.profile(fake, rows, **options).total.madds == madds
    assert ms.profile(fake, rows, **options).total.madds == madds
    assert ms.profile(model(), rows, **options).total.madds == madds
    assert type(fake[0].weight.data) is FakeTensor  # type: ignore[index,union-attr]


def test_the_users_own_loop() -> None:
    with FakeTensorMode():
        fake, rows = model(), torch.ones(2, 4)
        with ms.instrument(fake) as capture:
            fake(rows).sum().backward()
        with ms.observe(fake, ["0"]) as observation:
            fake(rows)
    assert capture.profile().total.madds == 64  # forward, and the gradient of the weight
    assert observation["0"].shape == (2, 4)


def test_a_real_run_is_refused() -> None:
    real = model()
    with FakeTensorMode(), pytest.raises(UsageError, match="inside FakeTensorMode"):
        ms.profile(real, ROWS, device="cpu")


def test_modes_of_the_caller_see_nothing_of_a_dummy_run() -> None:
    class Counting(torch.utils._python_dispatch.TorchDispatchMode):
        seen = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.seen += 1
            return func(*args, **(kwargs or {}))

    watched = model()
    with Counting() as counting:
        ms.profile(watched, ROWS)
        assert counting.seen == 0
        torch.ones(1)
        assert counting.seen == 1


@pytest.mark.parametrize("options", [options for options, _ in OPTIONS], ids=str)
def test_the_memo_grows_with_new_calls_alone(options: dict[str, Any]) -> None:
    def entries() -> int:
        return len(shared_memo._entries)

    ms.profile(model(), ROWS, **options)
    before = entries()
    for _ in range(3):
        ms.profile(model(), ROWS, **options)
    assert entries() == before
