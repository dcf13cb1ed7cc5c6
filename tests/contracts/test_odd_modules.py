"""Modules that torch can run although its own walks over modules fail on them: in circles, deep, frozen, unhashable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

import torchstat_cli as ms

ROW = torch.ones(1, 4)
MADDS = 16  # of the one layer that runs


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)  # type: ignore[no-any-return]


def circle() -> nn.Module:
    first, second = Plain(), Plain()
    first.other, second.other = second, first
    return first


def inside_itself() -> nn.Module:
    model = Plain()
    model.itself = model
    return model


class Frozen(Plain):
    def __init__(self) -> None:
        super().__init__()
        vars(self)["frozen"] = True

    def __setattr__(self, name: str, value: Any) -> None:
        if "frozen" in vars(self):
            raise AttributeError(f"{name} is frozen")
        super().__setattr__(name, value)


class Unhashable(Plain):
    __hash__ = None  # type: ignore[assignment]


class Incomparable(Plain):
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no comparison")


class WithoutTruth(Plain):
    def __bool__(self) -> bool:
        raise RuntimeError("neither true nor false")

    def __len__(self) -> int:
        raise RuntimeError("no length")


class WithoutWords(Plain):
    def __repr__(self) -> str:
        raise RuntimeError("no words")


class Keeping(Plain):
    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{name} cannot be deleted")


class Idle(Plain):
    """Holds what is nested deeper than Python's calls may be."""

    def __init__(self) -> None:
        super().__init__()
        deep: nn.Module = nn.Linear(4, 4)
        for _ in range(5000):
            deep = nn.Sequential(deep)
        self.deep = deep


def at_the_limit() -> nn.Module:
    """As deep as torch can call, which leaves hooks no room of their own."""
    model: nn.Module = nn.Linear(4, 4)
    for _ in range(200):
        model = nn.Sequential(model)
    return model


MODELS: list[Callable[[], nn.Module]] = [
    circle,
    inside_itself,
    Frozen,
    Unhashable,
    Incomparable,
    WithoutTruth,
    WithoutWords,
    Keeping,
    Idle,
    at_the_limit,
]


@pytest.mark.parametrize("build", MODELS)
@pytest.mark.parametrize("options", [{}, {"memory": True}, {"device": "cpu"}, {"mode": "train"}], ids=str)
def test_profile(build: Callable[[], nn.Module], options: dict[str, Any]) -> None:
    model = build()
    expected = model(ROW)
    assert ms.profile(model, ROW, **options).total.madds == MADDS
    assert torch.equal(model(ROW), expected)
    assert vars(model)["training"]


@pytest.mark.parametrize("build", MODELS)
def test_training_step(build: Callable[[], nn.Module]) -> None:
    assert ms.profile(build(), ROW, train=True).total.madds == 2 * MADDS  # the input needs no gradient


@pytest.mark.parametrize("build", MODELS)
def test_the_users_own_call(build: Callable[[], nn.Module]) -> None:
    model = build()
    with ms.instrument(model) as capture, torch.no_grad():
        model(ROW)
    assert capture.profile().total.madds == MADDS
    with ms.observe(model, ["type:Linear"]) as observation, torch.no_grad():
        result = model(ROW)
    assert any(torch.equal(value, result) for value in observation.values.values())


@pytest.mark.parametrize("build", [*MODELS[:-2]])
def test_nodes(build: Callable[[], nn.Module]) -> None:
    _, names = ms.get_graph_node_names(build(), engine="runtime", example_inputs=ROW)
    assert "layer" in names
    _, names = ms.get_graph_node_names(build(), engine="hooks")
    assert "layer" in names


def test_a_mode_that_a_model_keeps_is_kept() -> None:
    class HalfFrozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(4)

        def train(self, mode: bool = True) -> HalfFrozen:
            super().train(mode)
            self.norm.eval()
            return self

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert not self.norm.training
            return self.norm(x)  # type: ignore[no-any-return]

    ms.profile(HalfFrozen().eval(), ROW, train=True)
