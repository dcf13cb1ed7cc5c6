"""Observations that are closed in any order keep what they selected, and leave no mode of torch open."""

from __future__ import annotations

from contextlib import AbstractContextManager
from itertools import permutations

import pytest
import torch
from torch import nn

import torchstat_cli as ms
from torchstat_cli.activations.runtime.observation import Observation

ROWS = torch.ones(2, 4)


FUNCTIONS = (torch.relu, torch.sigmoid, torch.tanh)


class Active(nn.Linear):
    def __init__(self, number: int) -> None:
        super().__init__(4, 4)
        self.function = FUNCTIONS[number]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(super().forward(x))


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_closed_in_any_order(order: tuple[int, ...]) -> None:
    models = [Active(number) for number in range(3)]
    blocks: list[AbstractContextManager[Observation]] = [
        ms.observe(model, [f"op:{model.function.__name__}"]) for model in models
    ]
    observations = [block.__enter__() for block in blocks]
    with torch.no_grad():
        for closed in order:
            expected = [model(ROWS) for model in models]
            blocks[closed].__exit__(None, None, None)
            latest = list(observations[closed].values.values())[-1]
            assert torch.equal(latest, expected[closed])
    assert torch.overrides._get_current_function_mode_stack() == []
    assert [len(model._forward_hooks) for model in models] == [0, 0, 0]
