"""Everything that is reachable from a model and its inputs comes back as it was, and is swapped for the run."""

from __future__ import annotations

import itertools
import random
from array import array
from collections import OrderedDict, UserDict, defaultdict, deque
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import torchstat_cli as ms
from tests.libraries import import_transformers

ROWS = torch.linspace(-1, 1, 16).reshape(2, 8)


class Slotted:
    __slots__ = ("__hidden", "step", "tensor")

    def __init__(self) -> None:
        self.tensor, self.step, self.__hidden = torch.zeros(2, 8), 0, torch.zeros(1)

    def move(self, y: Tensor) -> None:
        self.tensor, self.step, self.__hidden = self.tensor + y, self.step + 1, y

    def state(self) -> Any:
        return self.tensor, self.step, self.__hidden


def counting() -> Callable[[Tensor], None]:
    steps, last = 0, torch.zeros(2, 8)

    def count(y: Tensor) -> None:
        nonlocal steps, last
        steps, last = steps + 1, y

    return count


def appending(y: Tensor, kept: list[Tensor] = []) -> None:  # noqa: B006  # the habit under test
    kept.append(y)


def cells(function: Any) -> Any:
    return [cell.cell_contents for cell in function.__closure__]


Move = Callable[[Any, Tensor], Any]
Read = Callable[[Any], Any]

STATES: dict[str, tuple[Callable[[], Any], Move, Read]] = {
    "object": (
        lambda: SimpleNamespace(t=torch.zeros(2, 8), n=torch.tensor(32), step=0),
        lambda s, y: (setattr(s, "t", s.t + y), s.n.add_(1), setattr(s, "step", s.step + 1)),
        lambda s: (s.t, s.n, s.step),
    ),
    "slots": (Slotted, lambda s, y: s.move(y), lambda s: s.state()),
    "list": (lambda: [torch.zeros(2, 8)], lambda s, y: s.append(y), list),
    "nested containers": (
        lambda: {"a": {"b": [torch.zeros(2, 8)]}},
        lambda s, y: (s["a"]["b"].append(y), s["a"].update(c=y)),
        lambda s: (list(s["a"]["b"]), list(s["a"])),
    ),
    "deque": (lambda: deque([1, 2], maxlen=2), lambda s, y: s.append(y), lambda s: (list(s), s.maxlen)),
    "set": (lambda: {1}, lambda s, y: s.add(y), set),
    "ordered": (
        lambda: OrderedDict(a=1, b=2),
        lambda s, y: (s.move_to_end("a"), s.update(c=y)),
        lambda s: list(s.items()),
    ),
    "default dict": (lambda: defaultdict(list), lambda s, y: s["k"].append(y), dict),
    "user dict": (lambda: UserDict(a=1), lambda s, y: s.update(b=y), dict),
    "tuple of objects": (
        lambda: (SimpleNamespace(t=torch.zeros(1)), [1]),
        lambda s, y: (setattr(s[0], "t", y), s[1].append(y), s[0].t.add_(1)),
        lambda s: (s[0].t, list(s[1])),
    ),
    "closure": (counting, lambda s, y: s(y), cells),
    "default": (
        lambda: lambda y, kept=[]: kept.append(y),
        lambda s, y: s(y),
        lambda s: list(s.__defaults__[0]),
    ),
    "partial": (
        lambda: partial(appending, kept=[torch.zeros(1)]),
        lambda s, y: s(y),
        lambda s: list(s.keywords["kept"]),
    ),
    "hidden module": (
        lambda: [nn.BatchNorm1d(8).train()],
        lambda s, y: s[0](y),
        lambda s: (s[0].running_mean, s[0].num_batches_tracked, s[0].weight),
    ),
    "bound method": (lambda: Slotted().move, lambda s, y: s(y), lambda s: s.__self__.state()),
    "torch generator": (torch.Generator, lambda s, y: torch.rand(2, generator=s), lambda s: s.get_state()),
    "python generator": (lambda: random.Random(0), lambda s, y: s.random(), lambda s: s.getstate()),
    "numpy generator": (
        lambda: np.random.default_rng(0),
        lambda s, y: s.random(),
        lambda s: s.bit_generator.state["state"]["state"],
    ),
    "numpy array": (lambda: np.zeros(3), lambda s, y: s.__iadd__(1), lambda s: s.copy().tolist()),
    "bytes": (lambda: bytearray(b"ab"), lambda s, y: s.extend(b"c"), bytes),
    "numbers": (lambda: array("i", [1]), lambda s, y: s.append(2), list),
    "counter": (itertools.count, lambda s, y: next(s), repr),
}


class Holder(nn.Module):
    def __init__(self, state: Any, move: Move) -> None:
        super().__init__()
        self.layer, self.state = nn.Linear(8, 8), state
        self.move = staticmethod(move)

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        self.move(self.state, y.detach())
        return y


def same(left: Any, right: Any) -> bool:
    if isinstance(left, Tensor):
        return left.device == right.device and torch.equal(left, right)
    if isinstance(left, (tuple, list)):
        return len(left) == len(right) and all(map(same, left, right))
    return bool(left == right)


def copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone()
    return type(value)(map(copied, value)) if type(value) in (tuple, list) else value


@pytest.mark.parametrize(
    "options", [{}, {"memory": True}, {"train": True}, {"device": "cpu"}, {"device": "cpu", "train": True}], ids=str
)
@pytest.mark.parametrize("name", STATES)
def test_state_of_the_model_is_as_before(name: str, options: dict[str, Any]) -> None:
    make, move, read = STATES[name]
    model = Holder(make(), move).eval()
    before = copied(read(model.state))
    ms.profile(model, ROWS, **options)
    assert same(before, read(model.state))
    model(ROWS)  # never meets a meta tensor
    assert not same(before, read(model.state))


@pytest.mark.parametrize("options", [{}, {"memory": True}, {"device": "cpu"}], ids=str)
@pytest.mark.parametrize("name", STATES)
def test_state_among_the_inputs_is_as_before(name: str, options: dict[str, Any]) -> None:
    class Taking(nn.Linear):
        def forward(self, x: Tensor, state: Any) -> Tensor:
            y = super().forward(x)
            move(state, y.detach())
            return y

    make, move, read = STATES[name]
    state, model = make(), Taking(8, 8).eval()
    before = copied(read(state))
    first, second = (ms.profile(model, ROWS, state, **options).total for _ in range(2))
    assert same(before, read(state))
    assert first.madds == second.madds


def test_input_that_is_written_in_place_is_as_before() -> None:
    class Writing(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.add_(1))

    rows = ROWS.clone()
    for device in ("meta", "cpu"):
        ms.profile(Writing(8, 8), rows, device=device)
        assert torch.equal(rows, ROWS)


def test_views_of_one_input_stay_views_of_one() -> None:
    """What one operator writes the other reads, and MemRead counts the storage once."""

    class Aliasing(nn.Module):
        def forward(self, x: Tensor, view: Tensor) -> Tensor:
            x.add_(1)
            assert bool((view == x[:1]).all())
            return x + x

    rows = ROWS.clone()
    ms.profile(Aliasing(), rows, rows[:1], device="cpu")
    assert torch.equal(rows, ROWS)


@pytest.mark.parametrize("kind", ["DynamicCache", "StaticCache"])
@pytest.mark.parametrize("options", [{}, {"memory": True}, {"device": "cpu"}], ids=str)
def test_filled_cache_is_untouched_and_counts_the_same_twice(kind: str, options: dict[str, Any]) -> None:
    transformers = import_transformers()
    config = transformers.LlamaConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=32,
        vocab_size=100,
    )
    model = transformers.LlamaForCausalLM(config).eval()
    more = {"max_cache_len": 40} if kind == "StaticCache" else {}
    cache = getattr(transformers, kind)(config=config, **more)
    with torch.no_grad():
        model(torch.arange(10)[None], past_key_values=cache)
    keys = cache.layers[0].keys.clone()
    totals = {
        ms.profile(model, torch.tensor([[5]]), kwargs={"past_key_values": cache}, **options).total.madds
        for _ in range(2)
    }
    # One token, width 32, 2 layers: 4 projections of 32 x 32 and 3 of the MLP of 32 x 32; attention over 11 keys
    # (40 in a static cache); the head 32 x 100.
    keys_seen = 40 if kind == "StaticCache" else 11
    assert totals == {2 * (7 * 32 * 32 + 2 * keys_seen * 32) + 32 * 100}
    assert int(cache.get_seq_length()) == 10
    assert torch.equal(cache.layers[0].keys, keys)
    with torch.no_grad():
        model(torch.tensor([[5]]), past_key_values=cache)
    assert int(cache.get_seq_length()) == 11
