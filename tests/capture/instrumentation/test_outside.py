"""Work that leaves torch marks the totals as lower bounds in every output; what is no work of the model does not."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import torchstat_cli as ms
from torchstat_cli.errors import StrictError

ROWS = torch.ones(3, 8)
MATRIX = np.ones((8, 8), dtype="float32")


class Away(nn.Module):
    def __init__(self, body: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.inner, self.body = nn.Linear(8, 8), body

    def forward(self, x: Tensor) -> Tensor:
        y = self.inner(x)
        self.body(y.detach())
        return y  # type: ignore[no-any-return]


AWAY: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "numpy": (lambda y: y.numpy() @ MATRIX, "work in numpy"),
    "asarray": (lambda y: np.asarray(y) @ MATRIX, "work in numpy"),
    "a function of numpy": (lambda y: np.linalg.norm(y), "work in numpy"),
    "from_dlpack": (lambda y: np.from_dlpack(y) @ MATRIX, "work in another library"),
    "to_dlpack": (lambda y: torch.utils.dlpack.to_dlpack(y), "work in another library"),
}


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("name", AWAY)
def test_totals_are_lower_bounds(name: str, train: bool) -> None:
    body, operator = AWAY[name]
    report = ms.profile(Away(body), ROWS, train=train)
    assert [(unknown.op, unknown.paths) for unknown in report.unknown] == [(operator, ("",))]
    assert report.total.lower_bound
    assert json.loads(report.to_json())["totals"]["lower_bound"] is True
    assert operator in str(report)
    assert operator in report.to_markdown()
    assert operator in report._repr_html_()


def test_strict_refuses_it() -> None:
    with pytest.raises(StrictError, match="work in numpy"):
        ms.profile(Away(lambda y: y.numpy() + 1), ROWS, strict=True)


def test_a_loop_of_ones_own() -> None:
    model = Away(lambda y: y.numpy() + 1)
    with ms.instrument(model) as capture:
        model(ROWS).detach().numpy()  # after the model: no work of its own
    (unknown,) = capture.profile().unknown
    assert (unknown.op, unknown.calls) == ("work in numpy", 1)


def test_integers_are_no_floating_work() -> None:
    assert not ms.profile(Away(lambda y: y.argmax(-1).numpy() + 1), ROWS).total.lower_bound


def test_torch_is_as_before() -> None:
    before = Tensor.numpy, Tensor.__dlpack__, torch.utils.dlpack.to_dlpack
    ms.profile(Away(lambda y: y.numpy()), ROWS)
    assert (Tensor.numpy, Tensor.__dlpack__, torch.utils.dlpack.to_dlpack) == before


class InThreads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        out: dict[str, Tensor] = {}
        threads = [
            threading.Thread(target=lambda name=name: out.__setitem__(name, getattr(self, name)(x)))
            for name in ("left", "right")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return out["left"] + out["right"]


@pytest.mark.parametrize("train", [False, True])
def test_modules_in_other_threads(train: bool) -> None:
    report = ms.profile(InThreads(), ROWS, train=train)
    assert report.total.lower_bound
    (unknown,) = report.unknown
    assert (unknown.op, unknown.calls, unknown.paths) == ("work in another thread", 2, ("left", "right"))
