"""A model that writes to its own parameters, or to their gradients, has them back after every run of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import torchstat_cli as ms

ROWS = torch.ones(2, 4)

Write = Callable[[nn.Parameter], Any]

WRITES: dict[str, Write] = {
    "in place": lambda weight: weight.add_(1),
    "a view": lambda weight: weight[0].mul_(3),
    "its data": lambda weight: weight.data.copy_(torch.zeros(4, 4)),
    "other data": lambda weight: setattr(weight, "data", torch.zeros_like(weight)),
    "an item": lambda weight: weight.__setitem__(slice(1, 2), 7),
    "initialized": lambda weight: nn.init.uniform_(weight),
    "foreach": lambda weight: torch._foreach_add_([weight], 1.0),
    "out": lambda weight: torch.clamp(weight, max=0.0, out=weight.data),
    "no gradient": lambda weight: setattr(weight, "grad", None),
}
ON_DEVICE: dict[str, Write] = {**WRITES, "its gradient": lambda weight: weight.grad.add_(1)}  # type: ignore[union-attr]

RUNS: dict[str, Callable[[nn.Module], Any]] = {
    "profile": lambda model: ms.profile(model, ROWS, device="cpu"),
    "memory": lambda model: ms.profile(model, ROWS, device="cpu", memory=True),
    "train mode": lambda model: ms.profile(model, ROWS, device="cpu", mode="train"),
    "nodes": lambda model: ms.get_graph_node_names(model, engine="runtime", example_inputs=ROWS),
}


class Writing(nn.Module):
    def __init__(self, write: Write) -> None:
        super().__init__()
        self.layer, self.tied = nn.Linear(4, 4), nn.Linear(4, 4, bias=False)
        self.tied.weight = self.layer.weight
        self.layer.weight.grad = torch.ones(4, 4)
        self.write = write

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            self.write(self.layer.weight)
        return self.tied(self.layer(x))  # type: ignore[no-any-return]


def state(model: Writing) -> tuple[Any, ...]:
    weight = model.layer.weight
    gradient = weight.grad
    assert gradient is not None
    return id(weight), weight.data_ptr(), weight.tolist(), id(gradient), gradient.tolist(), model.tied.weight is weight


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("write", ON_DEVICE)
def test_on_a_real_device(write: str, run: str) -> None:
    model = Writing(ON_DEVICE[write]).eval()
    before = state(model)
    RUNS[run](model)
    assert state(model) == before


@pytest.mark.parametrize("options", [{}, {"memory": True}, {"train": True}, {"train": True, "device": "cpu"}], ids=str)
@pytest.mark.parametrize("write", WRITES)
def test_on_meta_and_in_training(write: str, options: dict[str, Any]) -> None:
    model = Writing(WRITES[write]).eval()
    before = state(model)
    ms.profile(model, ROWS, **options)
    assert state(model) == before


def test_a_model_that_only_reads_has_nothing_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    copies: list[torch.UntypedStorage] = []
    clone = torch.UntypedStorage.clone
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True)).eval()
    pointers = {parameter.data_ptr() for parameter in model.parameters()}
    monkeypatch.setattr(torch.UntypedStorage, "clone", lambda self: copies.append(self) or clone(self))
    ms.profile(model, ROWS, device="cpu")
    assert [storage for storage in copies if storage.data_ptr() in pointers] == []
