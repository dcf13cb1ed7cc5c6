"""The tape records every operator once per call, in the right module's name, and decomposes only what nobody knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor

from tests.capture.modules import ROWS
from torchstat_cli.capture.dispatch.keys import Call, Execute, Outcome
from torchstat_cli.capture.dispatch.memo import Memo
from torchstat_cli.capture.tape import OperatorTape
from torchstat_cli.capture.values.known import KnownValues


def everything(name: str, overload: str, tags: Collection[str]) -> bool:
    return True


def nothing(name: str, overload: str, tags: Collection[str]) -> bool:
    return False


def calls(tape: OperatorTape) -> Counter[str]:
    """Calls by operator."""
    found: Counter[str] = Counter()
    for record, _, count in tape.events:
        found[record.name] += count
    return found


def test_calls_are_counted_per_module() -> None:
    running = [0]
    with torch.inference_mode(), OperatorTape(running, everything, Memo()) as tape:
        ROWS.exp()
        running.append(3)
        ROWS.exp()
        ROWS.exp()
    assert [(record.name, module, count) for record, module, count in tape.events] == [
        ("aten.exp", 0, 1),
        ("aten.exp", 3, 2),
    ]
    assert tape.first_event == {0: 0, 3: 1}


def test_known_composites_are_recorded_whole() -> None:
    weight = torch.zeros(3, 4)
    with torch.inference_mode(), OperatorTape([0], everything, Memo()) as tape:
        torch.nn.functional.linear(ROWS, weight)
    assert calls(tape) == {"aten.linear": 1}


def test_unknown_composites_are_recorded_by_their_parts() -> None:
    weight, bias = torch.ones(3, 4), torch.ones(3)
    with torch.inference_mode(), OperatorTape([0], nothing, Memo()) as tape:
        result = torch.nn.functional.linear(ROWS, weight, bias)
    assert torch.allclose(result, ROWS.sum(1, keepdim=True) + 1)
    assert calls(tape) == {"aten.t": 1, "aten.addmm": 1}


def test_parameters_given_to_operators_are_touched() -> None:
    used, unused = torch.nn.Parameter(ROWS.clone()), torch.nn.Parameter(ROWS.clone())
    with OperatorTape([0], everything, Memo()) as tape:
        torch.stack([used, ROWS])
    assert tape.touched == {id(used)}
    assert id(unused) not in tape.touched


def test_known_values_are_handed_every_operator_once() -> None:
    """The tape gives away a call and its way to run it, and takes what comes back."""
    handed: list[str] = []

    class Passing(KnownValues):
        def run(self, call: Call, execute: Execute) -> Outcome:
            handed.append(str(call.func))
            return execute(call)

    rows, weight, bias = (torch.empty(shape, device="meta") for shape in ((2, 4), (3, 4), (3,)))
    with torch.inference_mode(), OperatorTape([0], nothing, Memo(), Passing()) as tape:
        torch.nn.functional.linear(rows, weight, bias)
    assert handed == ["aten.linear.default", "aten.t.default", "aten.addmm.default"]  # whole, and by its parts
    assert calls(tape) == {"aten.t": 1, "aten.addmm": 1}


def test_paused_tape_records_nothing() -> None:
    with torch.inference_mode(), OperatorTape([0], everything, Memo()) as tape:
        tape.paused = True
        assert ROWS.exp().shape == (2, 4)
        tape.paused = False
    assert calls(tape) == {}


def test_subclasses_with_their_own_dispatch_are_recorded_by_what_they_run() -> None:
    class Doubling(Tensor):
        """Wraps a tensor and runs every operator twice on it."""

        inner: Tensor

        @staticmethod
        def __new__(cls, inner: Tensor) -> Doubling:
            made: Doubling = Tensor._make_wrapper_subclass(cls, inner.shape, dtype=inner.dtype)
            made.inner = inner
            return made

        @classmethod
        def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            inner = [arg.inner if isinstance(arg, Doubling) else arg for arg in args]
            func(*inner)
            return func(*inner)

    with OperatorTape([0], everything, Memo()) as tape:
        torch.exp(Doubling(ROWS))
    assert calls(tape)["aten.exp"] == 2


def test_a_new_phase_counts_afresh() -> None:
    with torch.inference_mode(), OperatorTape([0], everything, Memo()) as tape:
        ROWS.exp()
        tape.begin_phase()
        ROWS.sin()
    assert calls(tape) == {"aten.sin": 1}
