from __future__ import annotations

import pytest

from torchstat_cli.gate.verdict import Check, ModelVerdict, State, Verdict, worst
from torchstat_cli.records import UnknownOperator


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], State.PASS),
        ([State.BETTER, State.PASS], State.BETTER),
        ([State.BETTER, State.PARTIAL], State.PARTIAL),
        ([State.NEW, State.INHERITED], State.INHERITED),
        ([State.INHERITED, State.FAIL], State.FAIL),
        ([State.FAIL, State.STALE], State.STALE),
        ([State.STALE, State.ERROR], State.ERROR),
    ],
)
def test_the_worst_state_names_the_model(states: list[State], expected: State) -> None:
    assert worst(states) is expected


def verdict(*models: ModelVerdict, strict: bool = False) -> Verdict:
    return Verdict(models, "baseline.json", strict=strict)


def test_a_model_may_be_several_things() -> None:
    model = ModelVerdict("a", State.FAIL, unknown=(UnknownOperator("my.op", 1, ()),))
    assert model.states == {State.FAIL, State.PARTIAL}
    assert verdict(model).having(State.PARTIAL) == (model,)


def test_numbers_that_are_not_shown_decide_nothing() -> None:
    hidden = Check("madds", State.BETTER, 1, 2, shown=False)
    model = ModelVerdict("a", State.PASS, (hidden,))
    assert not verdict(model, strict=True).fails(model)


def test_the_command_that_accepts_a_model() -> None:
    assert verdict().accept("vit") == "modelstat check vit --update"
