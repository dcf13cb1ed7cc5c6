"""The guards put back what a run moved: attributes, containers, random numbers, switches."""

from __future__ import annotations

import contextlib
import random
import sys
from collections import OrderedDict, UserDict
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.capture.containers import FrozenDict, FrozenList, FrozenOrderedDict, WriteOnce
from tests.capture.modules import Custom, linear
from torchstat_cli.errors import ModelError
from torchstat_cli.torch_access.eager import without_compiler, without_fast_paths
from torchstat_cli.torch_access.process import untouched_generators
from torchstat_cli.torch_access.reach import Reach
from torchstat_cli.torch_access.restoring import Snapshot, untouched


def test_attributes_of_every_module_come_back() -> None:
    model = nn.Sequential(Custom(lambda self, x: x, inner=linear()))
    part = model[0]
    part.steps, part.history, part.names, part.table = 1, [1], {"a"}, {"k": 1}
    history, table = part.history, part.table

    def disturb() -> None:
        part.steps = 2
        part.history.append(2)
        part.names.add("b")
        part.table["other"] = 2
        part.fresh = "new"
        del part.inner
        part.train(False)
        raise KeyError

    with pytest.raises(KeyError), untouched(tuple(model.modules())):
        disturb()
    assert (part.steps, part.history, part.names, part.table) == (1, [1], {"a"}, {"k": 1})
    assert part.history is history
    assert part.table is table
    assert not hasattr(part, "fresh")
    assert isinstance(part.inner, nn.Linear)
    assert part.training


def test_replaced_containers_come_back_with_their_content() -> None:
    model = linear()
    model.history = original = [1]
    with untouched(tuple(model.modules())):
        model.history.append(2)
        model.history = [3]
    assert model.history is original
    assert original == [1]


@pytest.mark.parametrize(
    "container", [FrozenDict(a=1), FrozenOrderedDict(b=1, a=2), FrozenList([1, 2]), WriteOnce(a=1), UserDict(a=1)]
)
def test_container_that_refuses_changes_is_not_asked_to_change(container: Any) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].settings = container
    before, weight = repr(container), model[1].weight
    with untouched(tuple(model.modules())):
        model[0].extra = 1
        model[1]._parameters["weight"] = nn.Parameter(torch.empty(2, 2, device="meta"))
    assert model[1].weight is weight
    assert model[0].settings is container
    assert repr(container) == before
    assert not hasattr(model[0], "extra")


@pytest.mark.parametrize("container", [FrozenDict(a=1), FrozenOrderedDict(b=1, a=2), FrozenList([1, 2])])
def test_container_that_refuses_its_own_changes_is_filled_again_all_the_same(container: Any) -> None:
    model = linear()
    model.settings = container
    before = repr(container)
    with untouched(tuple(model.modules())):
        if isinstance(container, list):
            list.append(container, 3)
        else:
            dict.__setitem__(container, "b", 3)
    assert repr(container) == before


def test_order_of_an_ordered_dict_comes_back() -> None:
    model = linear()
    model.order = OrderedDict(a=1, b=2)
    with untouched(tuple(model.modules())):
        model.order.move_to_end("a")
    assert list(model.order) == ["a", "b"]


class Fickle:
    """A key that cannot be hashed any more after a while."""

    broken = False

    def __hash__(self) -> int:
        if Fickle.broken:
            raise RuntimeError("no hash today")
        return 1


def test_parameters_are_back_even_where_a_container_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].seen, model[1].seen = {Fickle()}, [1]
    weight = model[1].weight
    snapshot = Snapshot(Reach(model.modules()))
    model[1]._parameters["weight"] = nn.Parameter(torch.empty(2, 2, device="meta"))
    model[0].seen.clear()
    model[1].seen.clear()
    monkeypatch.setattr(Fickle, "broken", True)
    with pytest.raises(ModelError, match="a set that the model holds"):
        snapshot.restore()
    assert model[1].weight is weight
    assert model[1].seen == [1]


def test_random_numbers_go_on_where_they_were() -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.random()), float(torch.rand(()))

    with untouched_generators():
        expected = draw()
    with contextlib.suppress(ValueError), untouched_generators():
        draw()
        raise ValueError
    assert draw() == expected


def test_fast_paths_are_off_inside_and_as_before_afterwards() -> None:
    for enabled in (False, True):
        torch.backends.mha.set_fastpath_enabled(enabled)
        with without_fast_paths():
            assert not torch.backends.mha.get_fastpath_enabled()
        assert torch.backends.mha.get_fastpath_enabled() is enabled


def test_compiler_is_not_imported_to_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch._dynamo", raising=False)
    with without_compiler():
        assert "torch._dynamo" not in sys.modules


def test_runs_that_overlap_put_the_switches_back() -> None:
    """As in two threads: the second begins before the first ends, and ends after it."""
    enabled, compile = torch.backends.mha.get_fastpath_enabled(), torch.compile
    for switch in (without_fast_paths, without_compiler):
        first, second = switch(), switch()
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert not (torch.backends.mha.get_fastpath_enabled() and switch is without_fast_paths)
        second.__exit__(None, None, None)
    assert torch.backends.mha.get_fastpath_enabled() is enabled
    assert torch.compile is compile
