"""What a tool's process does, without the process."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from benchmarks.contest import Outcome, _measure, _report
from benchmarks.peer_faults import FAULTS
from benchmarks.peer_tools import FORWARD, MODELSTAT, PEERS, Count, Inputs, Tool
from benchmarks.subjects import Subject

SUBJECT = Subject("linear", "torch", lambda: nn.Linear(3, 2), (4, 3))


class Mailbox:
    """Stands in for the pipe to the parent."""

    def __init__(self) -> None:
        self.sent: list[Outcome] = []

    def send(self, outcome: Outcome) -> None:
        self.sent.append(outcome)


@pytest.fixture
def undisturbed() -> Iterator[None]:
    """A tool's process silences itself for good; here that must not outlive the test."""
    with warnings.catch_warnings():
        yield
    logging.disable(logging.NOTSET)


def _tool(measure: Callable[[nn.Module, Inputs], Count], *, on_meta: bool = False) -> Tool:
    return Tool("tool", "torch", "its MACs", lambda: measure, on_meta)


def test_every_call_gets_a_model_that_no_call_has_touched() -> None:
    seen: list[bool] = []

    def measure(model: nn.Module, inputs: Inputs) -> Count:
        seen.append(hasattr(model, "left_behind"))
        model.left_behind = True
        return Count(4 * 3 * 2, 8)

    model = SUBJECT.model()
    outcome = _measure(_tool(measure), SUBJECT, model, rounds=3)

    assert seen == [False] * 4  # a first call and three rounds
    assert not hasattr(model, "left_behind")
    assert (outcome.madds, outcome.params) == (24, 8)
    assert outcome.first_s is not None
    assert outcome.warm_s is not None


def test_a_tool_may_ask_for_meta() -> None:
    devices: set[str] = set()

    def measure(model: nn.Module, inputs: Inputs) -> Count:
        devices.update(str(tensor.device) for tensor in (*model.parameters(), *inputs))
        return Count(None, None)

    _measure(_tool(measure, on_meta=True), SUBJECT, SUBJECT.model(), rounds=1)
    assert devices == {"meta"}


def test_whatever_a_tool_raises_is_its_result(capsys: pytest.CaptureFixture[str], undisturbed: None) -> None:
    def measure(model: nn.Module, inputs: Inputs) -> Count:
        print("noise")
        raise TypeError("cannot trace\nmore of it")

    mailbox = Mailbox()
    _report(mailbox, _tool(measure), SUBJECT, SUBJECT.model(), 1)  # type: ignore[arg-type]  # only send is used
    assert mailbox.sent == [Outcome("tool", "linear", failure="TypeError: cannot trace")]
    assert capsys.readouterr().out == ""  # what it printed is dropped


def test_the_peers_of_torch_itself_count_a_linear_layer_by_hand() -> None:
    for tool in (MODELSTAT, *(peer for peer in PEERS if peer.package == "torch")):
        assert _measure(tool, SUBJECT, SUBJECT.model(), 1).madds == 4 * 3 * 2, tool.name
    assert _measure(FORWARD, SUBJECT, SUBJECT.model(), 1).madds is None


def test_every_peer_has_its_faults_told() -> None:
    assert {peer.name for peer in PEERS} == set(FAULTS)
    assert len({peer.name for peer in PEERS}) == len(PEERS)


def test_a_tool_that_is_not_installed_has_no_version() -> None:
    assert (
        Tool("none", "no-such-distribution-of-anyone", "", lambda: lambda model, inputs: Count(None, None)).version()
        is None
    )
    assert FORWARD.version() == torch.__version__.partition("+")[0]
