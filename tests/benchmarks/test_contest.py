"""Tools in processes of their own, on a layer that can be counted by hand."""

from __future__ import annotations

import os

import pytest
import torch
from torch import nn

from benchmarks.contest import Outcome, _copy, _timed, outcomes
from benchmarks.peer_faults import FAULTS
from benchmarks.peer_tools import FORWARD, MODELSTAT, PEERS, Count, Inputs, Measure, Tool
from benchmarks.subjects import Subject

SUBJECT = Subject("linear", "torch", lambda: nn.Linear(3, 2), (4, 3))


def _tool(measure: Measure, *, on_meta: bool = False) -> Tool:
    return Tool("tool", "torch", "its MACs", lambda: measure, on_meta)


def _only(measure: Measure, *, on_meta: bool = False) -> Outcome:
    (outcome,) = outcomes(SUBJECT, (_tool(measure, on_meta=on_meta),), rounds=2)
    return outcome


def test_every_call_gets_a_model_that_no_call_has_touched() -> None:
    def measure(model: nn.Module, inputs: Inputs) -> Count:
        clean = not hasattr(model, "left_behind")
        model.left_behind = True
        return Count(int(clean), 8)

    outcome = _only(measure)
    assert (outcome.tool, outcome.model, outcome.madds, outcome.params) == ("tool", "linear", 1, 8)
    assert outcome.first_s is not None
    assert outcome.warm_s is not None


def test_the_models_of_one_round_are_told_apart() -> None:
    model = SUBJECT.model()
    seen: list[nn.Module] = []

    def measure(model: nn.Module, inputs: Inputs) -> Count:
        seen.append(model)
        return Count(len(seen), None)

    given = [_copy(_tool(measure), SUBJECT, model) for _ in range(3)]
    count, seconds = _timed(measure, given)
    assert count == Count(3, None)
    assert seconds >= 0
    assert len({id(each) for each in (model, *seen)}) == 4


def test_a_tool_may_ask_for_meta() -> None:
    def measure(model: nn.Module, inputs: Inputs) -> Count:
        return Count(sum(tensor.is_meta for tensor in (*model.parameters(), *inputs)), None)

    assert (_only(measure).madds, _only(measure, on_meta=True).madds) == (0, 3)


def test_whatever_a_tool_raises_is_its_result(capfd: pytest.CaptureFixture[str]) -> None:
    def measure(model: nn.Module, inputs: Inputs) -> Count:
        print("noise")
        raise TypeError("cannot trace\nmore of it")

    assert _only(measure) == Outcome("tool", "linear", failure="TypeError: cannot trace")
    assert capfd.readouterr().out == ""  # what it printed is dropped


def test_a_tool_whose_process_dies_stops_nobody_else() -> None:
    def measure(model: nn.Module, inputs: Inputs) -> Count:
        os._exit(1)

    dead, alive = outcomes(SUBJECT, (_tool(measure), MODELSTAT), rounds=1)
    assert dead == Outcome("tool", "linear", failure="its process died")
    assert alive.madds == 4 * 3 * 2


def test_the_peers_of_torch_itself_count_a_linear_layer_by_hand() -> None:
    tools = (MODELSTAT, *(peer for peer in PEERS if peer.package == "torch"), FORWARD)
    counts = {outcome.tool: outcome.madds for outcome in outcomes(SUBJECT, tools, rounds=1)}
    assert counts.pop(FORWARD.name) is None
    assert set(counts.values()) == {4 * 3 * 2}
    assert len(counts) == len(tools) - 1


def test_every_peer_has_its_faults_told() -> None:
    assert {peer.name for peer in PEERS} == set(FAULTS)
    assert len({peer.name for peer in PEERS}) == len(PEERS)


def test_a_tool_that_is_not_installed_has_no_version() -> None:
    assert (
        Tool("none", "no-such-distribution-of-anyone", "", lambda: lambda model, inputs: Count(None, None)).version()
        is None
    )
    assert FORWARD.version() == torch.__version__.partition("+")[0]
