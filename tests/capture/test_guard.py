"""The guards put back what a run moved: attributes, containers, random numbers, switches."""

from __future__ import annotations

import contextlib
import random
import sys

import numpy as np
import pytest
import torch
from torch import nn

from tests.capture.modules import Custom, linear
from torchstat_cli.capture.guard import untouched, untouched_generators, without_compiler, without_fast_paths


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
