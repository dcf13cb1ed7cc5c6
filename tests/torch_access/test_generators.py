"""Random generators after a run: as before, unless nothing was drawn in it or the caller wants them left alone."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import torchstat_cli as ms

ROWS = torch.ones(2, 4)

DRAWS: dict[str, Callable[[], Any]] = {
    "torch": lambda: torch.rand(2),
    "a new seed": lambda: torch.manual_seed(5),
    "NumPy": lambda: np.random.rand(),
    "Python": lambda: random.random(),
    "a distribution": lambda: torch.distributions.Normal(0.0, 1.0).sample(),
    "initialization": lambda: nn.Linear(2, 2),
}


DRAWN: list[float] = []  # a global: what a model closes over is restored


def _draw_elsewhere() -> None:
    thread = threading.Thread(target=lambda: DRAWN.append(torch.rand(()).item()))
    thread.start()
    thread.join()


class Drawing(nn.Module):
    def __init__(self, draw: Callable[[], Any]) -> None:
        super().__init__()
        self.layer, self.draw = nn.Linear(4, 4), draw

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.draw()
        return self.layer(x)  # type: ignore[no-any-return]


def state() -> tuple[Any, ...]:
    _, keys, *rest = np.random.get_state()
    return torch.get_rng_state().tolist(), random.getstate(), list(keys), *rest


@pytest.fixture(params=[False, True], ids=["alone", "beside a thread"])
def other_thread(request: pytest.FixtureRequest) -> Iterator[None]:
    """Perhaps another thread that does nothing, so that draws might be its own."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    if request.param:
        thread.start()
    yield
    stop.set()
    if request.param:
        thread.join()


OPTIONS: list[dict[str, Any]] = [{"device": "cpu"}, {"device": "cpu", "memory": True}, {}, {"train": True}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("draw", DRAWS)
def test_draws_of_a_run_are_undone(draw: str, options: dict[str, Any], other_thread: None) -> None:
    model = Drawing(DRAWS[draw]).eval()
    before = state()
    ms.profile(model, ROWS, **options)
    assert state() == before


def test_a_run_that_draws_nothing_restores_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another thread draws meanwhile is not drawn twice."""
    DRAWN.clear()
    stop = threading.Event()
    keeping_alive = threading.Thread(target=stop.wait)
    keeping_alive.start()
    try:
        model = Drawing(_draw_elsewhere).eval()
        for _ in range(3):
            ms.profile(model, ROWS, device="cpu")
    finally:
        stop.set()
        keeping_alive.join()
    assert len(set(DRAWN)) == 3


def test_dropout_on_meta_draws_nothing() -> None:
    assert not any("set_rng_state" in name for name in _restored(nn.Sequential(nn.Linear(4, 4), nn.Dropout()).train()))


def _restored(model: nn.Module) -> list[str]:
    called: list[str] = []
    original = torch.set_rng_state
    torch.set_rng_state = lambda new: called.append("set_rng_state") or original(new)  # type: ignore[func-returns-value]
    try:
        ms.profile(model, ROWS, train=True)
    finally:
        torch.set_rng_state = original
    return called


def test_generators_that_are_left_alone() -> None:
    model = Drawing(DRAWS["torch"]).eval()
    torch.manual_seed(1)
    ms.profile(model, ROWS, device="cpu", restore_random=False)
    after = torch.rand(())
    torch.manual_seed(1)
    model(ROWS)
    assert torch.equal(torch.rand(()), after)


def test_a_spec_draws_what_the_caller_seeded_where_they_are_left_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    ms.profile("sample_models.mlp:mlp", device="cpu", restore_random=False)
    assert not torch.equal(torch.get_rng_state(), before)
    assert torch.initial_seed() == 1
