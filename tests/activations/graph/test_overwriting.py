"""Which graph nodes a later in-place operation may overwrite."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torchstat_cli.activations.graph.overwriting import overwritten_nodes
from torchstat_cli.activations.graph.pickling import flatten_graph, rebuild_graph
from torchstat_cli.activations.graph.tracing import trace
from torchstat_cli.activations.selection.leaves import TracerOptions


def plain(x: Tensor) -> Tensor:
    return (x + 1).relu() * 2


def method(x: Tensor) -> Tensor:
    y = x + 1
    return y.relu_()


def through_a_view(x: Tensor) -> Tensor:
    y = x + 1
    z = y.view(-1)
    z.mul_(2)
    return y.sin()


def through_a_chunk(x: Tensor) -> Tensor:
    left, right = torch.chunk(x + 1, 2)
    return left.add_(right)


def functional_flag(x: Tensor) -> Tensor:
    y = x * 3
    return F.relu(y, inplace=True)


def input_itself(x: Tensor) -> Tensor:
    return F.relu_(x).sin()


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (plain, set()),
        (method, {"add"}),
        (through_a_view, {"add", "view"}),
        (through_a_chunk, {"add", "chunk", "getitem", "getitem_1"}),
        (functional_flag, {"mul"}),
        (input_itself, {"x"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_by_reading_the_code(function: Any, expected: set[str]) -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return function(x)  # type: ignore[no-any-return]

    traced = trace(Model(), TracerOptions.of())
    assert {traced.names[node] for node in overwritten_nodes(traced.graph, traced.root)} == expected


def test_modules() -> None:
    class Opaque(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.view(-1)

    model = nn.Sequential(nn.Linear(4, 4), nn.Identity(), Opaque(), nn.ReLU(inplace=True), nn.Linear(4, 4), nn.ReLU())
    traced = trace(model, TracerOptions.of({"leaf_modules": [Opaque]}))
    names = {traced.names[node] for node in overwritten_nodes(traced.graph, traced.root)}
    # The opaque module may return a view of what it was given, and the identity does.
    assert names == {"0", "1", "2"}


def test_a_graph_survives_its_records() -> None:
    traced = trace(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), TracerOptions.of())
    rebuilt = rebuild_graph(flatten_graph(traced.graph))
    assert str(rebuilt) == str(traced.graph)
