"""A profile leaves no trace: not on the model, not on the random generators, not on torch; also when the run fails."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import sample_models
import torchstat_cli as ms
from tests.capture.containers import FrozenOrderedDict, Label
from torchstat_cli.errors import ForwardError
from torchstat_cli.loading import default_inputs, find_model


class Everything(nn.Module):
    """Every kind of state that a careless profiler disturbs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.frozen = nn.BatchNorm2d(4).eval()
        self.dropout = nn.Dropout(0.5)
        self.lstm = nn.LSTM(6, 5, batch_first=True)
        self.head = nn.Linear(5, 2)
        self.scale = nn.Parameter(torch.ones(1), requires_grad=False)
        self.register_buffer("table", torch.arange(4))
        self.cache: torch.Tensor | None = None
        self.history: list[Any] = []
        self.steps = 0
        self.explode: BaseException | None = None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.steps += 1
        features = self.dropout(self.frozen(self.norm(self.conv(images)))).mean(1)
        self.cache = features
        self.history.append(features)
        if self.explode is not None:
            raise self.explode
        return self.head(self.lstm(features)[0]) * self.scale


class OwnEnd(BaseException):
    """Not an exception: nobody but its own library may catch it."""


ENDS = (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, OwnEnd)


def state_of(model: nn.Module) -> dict[str, Any]:
    """Everything that must be the same afterwards, comparable with ``==``."""
    modules = dict(model.named_modules())
    return {
        "state_dict": {name: (id(t), t._version, t.device) for name, t in model.state_dict(keep_vars=True).items()},
        "values": {name: t.numpy().tobytes() for name, t in model.state_dict().items()},
        "buffers": [(name, id(t)) for name, t in model.named_buffers()],
        "attributes": {path: {k: id(v) for k, v in vars(m).items()} for path, m in modules.items()},
        "lists": {path: [list(v) for v in vars(m).values() if isinstance(v, list)] for path, m in modules.items()},
        "hooks": {path: [len(v) for k, v in vars(m).items() if "hooks" in k] for path, m in modules.items()},
        "flags": {path: m.training for path, m in modules.items()},
        "grads": {name: (None if p.grad is None else p.grad.tolist()) for name, p in model.named_parameters()},
        "requires_grad": {name: p.requires_grad for name, p in model.named_parameters()},
        "class_calls": {path: type(m).__call__ for path, m in modules.items()},
    }


def state_of_process() -> dict[str, Any]:
    return {
        "torch": torch.get_rng_state().tolist(),
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),
        "fast path": torch.backends.mha.get_fastpath_enabled(),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "dtype": torch.get_default_dtype(),
        "modes": torch._C._len_torch_dispatch_stack(),
        "attention": torch.nn.functional.scaled_dot_product_attention,
    }


@pytest.fixture
def model() -> Everything:
    model = Everything().train()
    model.frozen.eval()
    model(torch.randn(2, 3, 8, 8)).sum().backward()
    return model


@pytest.mark.parametrize("device", ["auto", "meta", "cpu"])
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_success_leaves_no_trace(model: Everything, device: str, mode: Any) -> None:
    images = torch.randn(2, 3, 8, 8)
    before, process = state_of(model), state_of_process()
    report = ms.profile(model, images, device=device, mode=mode)
    assert report.total.madds > 0
    assert state_of(model) == before
    assert state_of_process() == process


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("error", [RuntimeError("boom"), *(end() for end in ENDS)])
def test_failure_leaves_no_trace(model: Everything, device: str, error: BaseException) -> None:
    model.explode = error
    images = torch.randn(2, 3, 8, 8)
    before, process = state_of(model), state_of_process()
    with pytest.raises(ForwardError if isinstance(error, Exception) else type(error)) as caught:
        ms.profile(model, images, device=device)
    assert isinstance(error, Exception) or caught.value is error
    assert state_of(model) == before
    assert state_of_process() == process


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("how", ["train", "memory", "optimizer", "loss", "nodes", "features", "instrument"])
def test_end_that_is_no_error_passes_unchanged(model: Everything, how: str, end: type[BaseException]) -> None:
    error = end()

    def explode(*args: Any) -> None:
        raise error

    images = torch.randn(2, 3, 8, 8)
    calls: dict[str, Callable[[], object]] = {
        "train": lambda: ms.profile(model, images, train=True),
        "memory": lambda: ms.profile(model, images, memory=True, device="cpu"),
        "optimizer": lambda: ms.profile(model, images, train=True, optimizer=explode),
        "loss": lambda: ms.profile(model, images, train=True, loss=explode),
        "nodes": lambda: ms.get_graph_node_names(model, example_inputs=images, engine="runtime"),
        "features": lambda: ms.create_feature_extractor(model, ["conv"])(images),
        "instrument": lambda: observed(model, images),
    }
    model.explode = None if how in ("optimizer", "loss") else error
    if how in ("features", "instrument"):
        model.forward = explode  # type: ignore[method-assign]  # nothing before it changes the model for real
    before, process = state_of(model), state_of_process()
    with pytest.raises(end) as caught:
        calls[how]()
    assert caught.value is error
    assert state_of(model) == before
    assert state_of_process() == process


def observed(model: Everything, images: torch.Tensor) -> None:
    with ms.instrument(model):
        model(images)


def test_failure_in_a_nested_module_leaves_no_trace() -> None:
    model = ms.load_model("sample_models.broken:raises_mid_forward")
    before = state_of(model)
    with pytest.raises(ForwardError, match=r"blocks\.1\.gate"):
        ms.profile(model, input_shape=(2, 16))
    assert state_of(model) == before


def test_instrumented_loop_leaves_only_what_the_loop_did(model: Everything) -> None:
    hooks = state_of(model)["hooks"]
    names = list(model.state_dict())
    with ms.instrument(model) as capture:
        model(torch.randn(2, 3, 8, 8)).sum().backward()
        model(torch.randn(2, 3, 8, 8))
    assert model.steps == 3
    assert state_of(model)["hooks"] == hooks
    assert list(model.state_dict()) == names
    assert not any("modelstat" in name for name, _ in model.named_buffers())
    assert capture.profile().at("conv").calls == 2


_SEEN: dict[str, torch.Tensor] = {}  # a global: a closure of the model's own hook comes back as it was


def test_metadata_buffers_are_there_only_during_the_run() -> None:
    model, seen = nn.Sequential(nn.Linear(3, 4), nn.ReLU()), _SEEN
    seen.clear()

    def look(module: nn.Module, args: Any) -> None:
        _SEEN.update(model.named_buffers())
        assert list(model.state_dict()) == ["0.weight", "0.bias"]

    model[1].register_forward_pre_hook(look)
    ms.profile(model, input_shape=(2, 3))
    assert len(seen) == 2  # one row per leaf
    assert all(row.dtype is torch.int64 and row.device.type == "cpu" for row in seen.values())
    assert list(model.named_buffers()) == []


@pytest.mark.parametrize("name", sorted(sample_models.CATALOG))
def test_sample_models_are_left_alone(name: str) -> None:
    if name in ("raises_in_init", "resnet50", "vit"):
        pytest.skip("cannot be built, or tells no more than its smaller sister")
    source = find_model(sample_models.CATALOG[name])
    model = source.build()
    inputs = default_inputs(source, device="cpu", dtype=torch.float32)
    assert inputs is not None
    before = state_of(model)
    try:
        ms.profile(model, *inputs.args, kwargs=inputs.kwargs)
    except ForwardError:
        assert name in ("raises_mid_forward", "needs_another_shape")
    assert state_of(model) == before


@pytest.mark.parametrize("options", [{}, {"memory": True}, {"train": True}, {"device": "cpu"}])
def test_frozen_settings_cost_a_live_model_nothing(options: dict[str, Any]) -> None:
    """diffusers' configurations refuse changes, e3nn's labels have no length."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    model[0].settings, model[0].label = FrozenOrderedDict(width=4), Label((0, 1))
    before = state_of(model)
    report = ms.profile(model, torch.ones(1, 4), **options)
    # A training step also multiplies for the gradients of both weights, and of the second layer's input.
    assert report.total.madds == (4 * 4 + 4 * 2 if "train" not in options else 2 * 4 * 4 + 3 * 4 * 2)
    assert state_of(model) == before
    assert model[0].settings == {"width": 4}


def test_model_may_return_a_tuple_without_a_length() -> None:
    class Labeled(nn.Linear):
        def forward(self, features: torch.Tensor) -> Any:
            return super().forward(features), Label((0, 1))

    assert ms.profile(Labeled(4, 4), torch.ones(1, 4), memory=True).total.madds == 16
