"""Extractors on torch's real distributed wrappers: DDP is seen through, what is sharded is refused and left intact."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.distributed import SHARDED, data_parallel, network, one_process
from torchstat_cli.activations import (
    Extractor,
    IntermediateExtractor,
    Recorder,
    create_feature_extractor,
    get_graph_node_names,
    observe,
)
from torchstat_cli.errors import ModelError

X = torch.linspace(-1, 1, 12).reshape(3, 4)
LAYER = "1.0"


@pytest.fixture(autouse=True)
def process_group() -> Iterator[None]:
    with one_process():
        yield


def _observed(model: nn.Module) -> Tensor:
    with observe(model, [LAYER]) as observation:
        model(X)
    value: Tensor = observation[LAYER]
    return value


def _kept(model: nn.Module) -> Tensor:
    with IntermediateExtractor(model, [LAYER]) as extractor:
        model(X)
    value: Tensor = extractor.get_outputs()[LAYER]
    return value


WAYS: dict[str, Callable[[nn.Module], Any]] = {
    "observe": _observed,
    "features": lambda model: create_feature_extractor(model, [LAYER])(X)[LAYER],
    "features by hooks": lambda model: create_feature_extractor(model, [LAYER], engine="hooks")(X)[LAYER],
    "Extractor": lambda model: Extractor(model, layer_name=LAYER)(X)[1],
    "IntermediateExtractor": _kept,
}


@pytest.mark.parametrize("way", WAYS)
def test_ddp_adds_nothing_to_names_and_values(way: str) -> None:
    model = network()
    expected = model[1][0](model[0](X))
    assert torch.equal(WAYS[way](data_parallel()), expected)


def test_ddp_adds_nothing_to_listed_names() -> None:
    assert get_graph_node_names(data_parallel()) == get_graph_node_names(network())


def test_a_ddp_model_trains_on() -> None:
    model, twin = data_parallel(), network()
    _observed(model)
    Recorder(model)(X)
    for trained in (model, twin):
        trained(X).sum().backward()
    for parameter, expected in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, expected.grad)


@pytest.mark.parametrize("kind", SHARDED)
@pytest.mark.parametrize("way", [*WAYS, "Extractor of a layer", "Recorder", "names"])
def test_sharded_models_are_refused_and_run_on(kind: str, way: str) -> None:
    model = SHARDED[kind]()
    expected = model(X)
    ways = {
        **WAYS,
        "Extractor of a layer": lambda model: Extractor(model, layer=list(model.modules())[-1])(X),
        "Recorder": lambda model: Recorder(model)(X),
        "names": get_graph_node_names,
    }
    hooks = [len(part._forward_hooks) for part in model.modules()]
    with pytest.raises(ModelError, match="only this rank's part"):
        ways[way](model)
    assert torch.equal(model(X), expected)
    assert [len(part._forward_hooks) for part in model.modules()] == hooks
