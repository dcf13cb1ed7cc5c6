"""Wrong requests of `create_feature_extractor`: refused in one sentence, at once where that can be known."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.activations.models import Dynamic, Staged
from torchstat_cli.activations import create_feature_extractor
from torchstat_cli.errors import InputError, SelectionError

X = torch.linspace(-1, 1, 12).reshape(3, 4)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({}, ValueError),
        ({"train_return_nodes": ["head"]}, ValueError),
        ({"eval_return_nodes": ["head"]}, ValueError),
        ({"return_nodes": ["head"], "train_return_nodes": ["head"], "eval_return_nodes": ["head"]}, ValueError),
        ({"return_nodes": ["haed"]}, ValueError),
        ({"return_nodes": []}, ValueError),
        ({"return_nodes": 3}, TypeError),
        ({"return_nodes": ["head"], "engine": "magic"}, ValueError),
        ({"return_nodes": ["head"], "compat": "keras"}, ValueError),
        ({"return_nodes": ["head"], "compat": "torchvision", "engine": "hooks"}, ValueError),
        ({"return_nodes": ["op:add"], "engine": "hooks"}, ValueError),
        ({"return_nodes": ["attn"], "engine": "fx"}, ValueError),
        ({"return_nodes": ["head"], "tracer_kwargs": {"leaf_modules": (nn.ReLU,)}}, TypeError),
        ({"return_nodes": ["head"], "tracer_kwargs": {"autowrap_modules": [torch]}}, TypeError),
        ({"return_nodes": ["head"], "tracer_kwargs": {"leaves": []}}, TypeError),
        ({"return_nodes": ["head"], "tracer_kwargs": [nn.ReLU]}, TypeError),
        ({"return_nodes": ["head"], "concrete_args": {"y": None}}, TypeError),
        ({"return_nodes": ["typ:Linear"]}, ValueError),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        create_feature_extractor(Staged(), **arguments)


def test_an_unknown_name_offers_close_ones() -> None:
    for engine in ("auto", "hooks", "runtime"):
        with pytest.raises(SelectionError) as caught:
            create_feature_extractor(Staged(), ["stage.0.liner"], engine=engine)(X)  # type: ignore[arg-type]
        assert "'stage.0.linear'" in str(caught.value)


def test_names_of_another_model_are_refused_at_once() -> None:
    with pytest.raises(SelectionError, match="names nothing"):
        create_feature_extractor(Dynamic(), ["layer1.0.conv1"])


def test_a_module_that_does_not_run_is_an_error_when_called() -> None:
    model = Dynamic().eval()
    nn.init.constant_(model.first.bias, 5.0)
    with pytest.raises(SelectionError, match="'last' was selected but never ran"):
        create_feature_extractor(model, ["last"])(X)


@pytest.mark.parametrize("engine", ["fx", "hooks", "runtime"])
def test_another_device_is_told_in_a_sentence(engine: Any) -> None:
    extractor = create_feature_extractor(Staged().to("meta"), ["head"], engine=engine)
    with pytest.raises(InputError, match="the model is on meta, an input of shape"):
        extractor(X)


def test_an_error_of_the_models_own_passes_unchanged() -> None:
    for engine in ("fx", "hooks"):
        with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
            create_feature_extractor(Staged(), ["head"], engine=engine)(torch.ones(3, 5))  # type: ignore[arg-type]


def test_an_unknown_class_offers_close_ones() -> None:
    with pytest.raises(SelectionError, match="did you mean 'type:Linear'"):
        create_feature_extractor(Staged(), ["type:Liner"])


def test_only_modules_are_things_to_extract_from() -> None:
    with pytest.raises(TypeError, match="not function"):
        create_feature_extractor(lambda x: x, ["head"])  # type: ignore[arg-type]


def test_a_gradient_without_gradients_is_an_error() -> None:
    with torch.no_grad(), pytest.raises(SelectionError, match="needs no gradient"):
        create_feature_extractor(Staged(), ["head.grad"])(X)
