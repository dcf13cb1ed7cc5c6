"""Every wrapper in threads: each call gets its own values, and nobody else's call notices."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torchstat_cli.activations import (
    Extractor,
    IntermediateExtractor,
    ObserveOptions,
    Recorder,
    create_feature_extractor,
    observe,
)
from torchstat_cli.errors import SelectionError


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(8, 24)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class Layered(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Attention() for _ in range(4)])

    def forward(self, x: Tensor, scale: float | None = None) -> Tensor:
        for layer in self.layers:
            x = F.relu(layer(x)) + x
        return x


MODEL = Layered().eval()
INPUTS = [torch.randn(1, 5, 8) for _ in range(32)]
Call = Callable[[Tensor], Tensor]


def extractor(selection: str, engine: str) -> Call:
    taken = create_feature_extractor(MODEL, [selection], engine=engine)
    return lambda x: next(iter(taken(x).values()))


def recorder() -> Call:
    taken = Recorder(MODEL)
    return lambda x: taken(x)[1]


def plain_extractor() -> Call:
    taken = Extractor(MODEL, layer_name="layers.1")
    return lambda x: taken(x)[1]


def observed(x: Tensor) -> Tensor:
    with observe(MODEL, ["layers.1", "relu_2"]) as observation:
        MODEL(x)
    return observation["layers.1"] + observation["relu_2"]


def own_intermediate(x: Tensor) -> Tensor:
    with IntermediateExtractor(MODEL, ["layers.1"]) as taken:
        MODEL(x)
    return taken.intermediate_outputs["layers.1"]


def shared_intermediate() -> Call:
    taken = IntermediateExtractor(MODEL, ["layers.1"])
    taken.register_hooks()

    def call(x: Tensor) -> Tensor:
        MODEL(x)
        return taken.get_outputs()["layers.1"]

    return call


WRAPPERS: dict[str, Callable[[], Call]] = {
    "fx": lambda: extractor("layers.1", "fx"),
    "hooks": lambda: extractor("layers.1", "hooks"),
    "runtime": lambda: extractor("relu_1", "runtime"),
    "maps": lambda: extractor("attn:layers.1", "auto"),
    "recorder": recorder,
    "extractor": plain_extractor,
    "observe": lambda: observed,
    "intermediate": shared_intermediate,
    "own intermediate": lambda: own_intermediate,
}


@contextmanager
def no_hooks_left() -> Iterator[None]:
    yield
    for module in MODEL.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()


@pytest.mark.parametrize("name", WRAPPERS)
def test_32_calls_in_6_threads(name: str) -> None:
    def one(x: Tensor) -> Tensor:
        with torch.no_grad():
            return call(x)

    with torch.no_grad(), no_hooks_left(), ThreadPoolExecutor(6) as pool:
        outputs = [MODEL(x) for x in INPUTS]
        call = WRAPPERS[name]()
        expected = [call(x) for x in INPUTS]
        for _ in range(5):
            plain = pool.map(MODEL, INPUTS)  # other people's calls in between
            values = list(pool.map(one, INPUTS))
            assert all(map(torch.equal, values, expected))
            assert all(map(torch.equal, plain, outputs))


def test_another_threads_call_is_neither_observed_nor_stopped() -> None:
    results: list[Tensor] = []
    with (
        torch.no_grad(),
        observe(MODEL, ["layers.1", "op:relu"], ObserveOptions(stop=True), strict=False) as observation,
    ):
        thread = threading.Thread(target=lambda: results.append(MODEL(INPUTS[0])))
        thread.start()
        thread.join()
    assert len(results) == 1
    assert observation.report.fired == {}
    assert observation.report.passes == 0


def test_a_block_whose_model_runs_elsewhere_says_so() -> None:
    with (
        pytest.raises(SelectionError, match="was called in another thread or task"),
        observe(MODEL, ["layers.1"]),
        ThreadPoolExecutor(1) as pool,
    ):
        pool.submit(MODEL, INPUTS[0]).result()


def test_tasks_of_one_thread_do_not_hear_each_other() -> None:
    async def one(x: Tensor) -> Tensor:
        with observe(MODEL, ["layers.1", "relu_1"]) as observation:
            for _ in range(3):
                await asyncio.sleep(0)
                MODEL(x)
            await asyncio.sleep(0)
        assert observation.report.fired == {"layers.1": 3, "relu_1": 3}
        return observation["layers.1"]

    async def all_of_them() -> list[Tensor]:
        return await asyncio.gather(*map(one, INPUTS[:4]))

    values = asyncio.run(all_of_them())
    for x, value in zip(INPUTS, values, strict=False):
        assert torch.equal(value, create_feature_extractor(MODEL, ["layers.1"], engine="hooks")(x)["layers.1"])


def test_a_context_that_is_carried_into_another_thread_is_observed() -> None:
    async def served() -> tuple[Tensor, Tensor]:
        with observe(MODEL, ["layers.3"]) as observation:
            output = await asyncio.to_thread(MODEL, INPUTS[0])
        return output, observation["layers.3"]

    _, value = asyncio.run(served())
    assert torch.equal(value, create_feature_extractor(MODEL, ["layers.3"], engine="hooks")(INPUTS[0])["layers.3"])
