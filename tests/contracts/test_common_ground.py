"""Faults that came of several rooms touching torch each in its own way: one mechanism serves all of them now."""

from __future__ import annotations

import random
import sys
import threading
import time
import types
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import torchstat_cli as ms
from tests.libraries import import_transformers
from torchstat_cli.activations import IntermediateExtractorBase


class Slow(nn.Module):
    """Needs a value while it is built, so its parameters alone are put on meta, for as long as building takes."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.register_buffer("table", torch.arange(4))
        time.sleep(seconds)
        self.on = bool(self.table.sum())  # type: ignore[operator]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(x)


def test_profiles_that_build_at_the_same_time_leave_new_layers_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = types.ModuleType("nets_of_two_threads")
    module.quick, module.slow = lambda: Slow(0.1), lambda: Slow(0.2)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    before = nn.Module.register_parameter
    elsewhere: list[str] = []

    def profile(name: str) -> None:
        ms.profile(f"{module.__name__}:{name}", input_shape=(1, 2))

    threads = [threading.Thread(target=profile, args=(name,)) for name in ("quick", "slow")]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        elsewhere.append(nn.Linear(2, 2).weight.device.type)
        time.sleep(0.02)
    assert nn.Module.register_parameter is before
    assert set(elsewhere) == {"cpu"}  # also while others build


def compiles() -> bool:
    seen = []

    def backend(graph: Any, inputs: Any) -> Any:
        seen.append(graph)
        return graph.forward

    torch._dynamo.reset()
    torch.compile(lambda x: x + 1, backend=backend)(torch.ones(2))
    return bool(seen)


@pytest.mark.parametrize("first_in_first_out", [True, False])
def test_overlapping_extractors_of_compiled_models_leave_the_compiler_on(first_in_first_out: bool) -> None:
    compiled = torch.compile(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), backend="eager")
    first, second = (IntermediateExtractorBase(compiled, [name]) for name in ("0", "1"))
    first.register_hooks()
    second.register_hooks()
    for extractor in (first, second) if first_in_first_out else (second, first):
        extractor.detach_hooks()
    assert compiles()


def test_overlapping_observations_of_compiled_models_leave_the_compiler_on() -> None:
    compiled = torch.compile(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), backend="eager")
    uses = [ms.observe(compiled, [name], strict=False) for name in ("0", "1")]
    for use in uses:
        use.__enter__()
    for use in uses:
        use.__exit__(None, None, None)
    assert compiles()


class Drawing(nn.Module):
    """Draws from Python's, NumPy's and torch's generators."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        random.random()
        np.random.random()
        return self.layer(x) + torch.rand(())


@pytest.mark.parametrize("engine", ["auto", "fx", "runtime"])
def test_listing_nodes_moves_no_random_state(engine: Any) -> None:
    def state() -> tuple[Any, ...]:
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[union-attr]

    model = Drawing()
    before = state()
    ms.get_graph_node_names(model, engine=engine, example_inputs=torch.zeros(2, 4), suppress_diff_warning=True)
    assert state() == before


@pytest.mark.filterwarnings("ignore:`past_key_values:FutureWarning")  # its name before transformers 5.24
def test_cache_that_is_kept_is_a_copy_of_that_moment() -> None:
    """Decoding goes on and fills the model's own; the kept one has the three tokens of its call."""
    transformers = import_transformers()
    config = transformers.GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=11)
    model = transformers.GPT2LMHeadModel(config).eval()
    with torch.no_grad(), ms.observe(model, ["transformer"]) as seen:
        output = model(torch.tensor([[1, 2, 3]]), use_cache=True)
        kept = seen["transformer"].past_key_values
        expected = output.past_key_values.layers[0].keys.clone()
        model(torch.tensor([[4]]), past_key_values=output.past_key_values)
    assert kept is not output.past_key_values
    assert kept.get_seq_length() == 3
    assert output.past_key_values.get_seq_length() == 4
    assert torch.equal(kept.layers[0].keys, expected)


class StateCache:
    """A cache of another library: its tensors are attributes."""

    def __init__(self, state: torch.Tensor) -> None:
        self.state, self.steps = state, [state]


def test_other_caches_and_sets_are_copied_too() -> None:
    class Stateful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Identity()

        def forward(self, x: torch.Tensor) -> Any:
            cache, found = self.inner((StateCache(x * 1), {x * 2}))
            cache.state.add_(1)
            next(iter(found)).add_(1)
            return cache

    x, model = torch.ones(2), Stateful()
    with torch.no_grad(), ms.observe(model, ["inner"]) as seen:
        model(x)
    cache, found = seen["inner"]
    assert torch.equal(cache.state, x)
    assert torch.equal(cache.steps[0], x)
    assert torch.equal(next(iter(found)), 2 * x)
