"""The descent: which rung holds, what is said about the others, and which failure reaches the user."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import torch
from torch import nn

from torchstat_cli.errors import BuildError, ForwardError, InputError, ModelError, PlacementError
from torchstat_cli.loading import Inputs, Placed
from torchstat_cli.tasks.ladder import Assumed, Attempt, descend
from torchstat_cli.tasks.origin import Origin
from torchstat_cli.tasks.rungs import Rung

MODEL = nn.Identity()
NEEDS = ForwardError("it asks for values")
NEEDS.__cause__ = RuntimeError("Tensor.item() cannot be called on meta tensors")
OWN = ForwardError("it has a fault")
OWN.__cause__ = RuntimeError("mat1 and mat2 shapes cannot be multiplied")


@dataclass
class Steps:
    """A ladder of names; a name may fail to become a rung."""

    names: tuple[str, ...]
    real: str | None = "cpu"
    broken: dict[str, ModelError] = field(default_factory=dict)
    rooms: list[int] = field(default_factory=list)
    remedy: str = "run it for real: --device cpu"

    def placements(self) -> Iterator[Placed]:
        for name in self.names:
            yield Placed(MODEL, name)

    def for_real(self, room: int) -> Placed | None:
        self.rooms.append(room)
        if "room" in self.broken:
            raise self.broken["room"]
        return None if self.real is None else Placed(MODEL, self.real)

    def rung(self, placed: Placed) -> Rung:
        name = placed.placement
        if name in self.broken:
            raise self.broken[name]
        return Rung(
            Origin("spec", "spec", None, "Identity"), MODEL, Inputs((), {}), placed.on_meta, name, (f"on {name}",)
        )


class Trial(Attempt[str]):
    """Fails on chosen placements; gives the name of the others."""

    def __init__(self, failures: dict[str, Exception], assumes: int | None = None) -> None:
        self.failures, self.assumes = failures, assumes
        self.tried: list[str] = []

    def run(self, rung: Rung) -> str:
        self.tried.append(rung.placement)
        if rung.placement in self.failures:
            raise self.failures[rung.placement]
        return rung.placement

    def assume(self, rung: Rung) -> Assumed[str] | None:
        return None if self.assumes is None else Assumed(f"assumed {rung.placement}", self.assumes)


@pytest.fixture(autouse=True)
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchstat_cli.tasks.ladder.unasked_limit", lambda: 1000)


def test_the_first_rung_that_holds_is_the_last_one_tried() -> None:
    trial = Trial({"meta": NEEDS})
    held = descend(Steps(("meta", "meta+values")), trial)
    assert (held.result, held.rung.placement, held.notes) == ("meta+values", "meta+values", ("on meta+values",))
    assert (trial.tried, held.assumed) == (["meta", "meta+values"], False)


def test_a_run_for_real_says_why() -> None:
    held = descend(Steps(("meta",)), Trial({"meta": NEEDS}))
    assert (held.result, held.notes) == ("cpu", ("not run on meta alone: it asks for values", "on cpu"))


def test_a_fault_of_the_models_own_ends_the_descent() -> None:
    trial = Trial({"meta": OWN})
    with pytest.raises(ForwardError, match="it has a fault"):
        descend(Steps(("meta", "meta+values")), trial)
    assert trial.tried == ["meta"]


def test_a_placement_with_real_tensors_is_not_left() -> None:
    """Its error is the model's own, whatever it says."""
    trial = Trial({"cpu": NEEDS})
    with pytest.raises(ForwardError, match="asks for values"):
        descend(Steps(("cpu", "meta")), trial)
    assert trial.tried == ["cpu"]


def test_what_is_no_fault_of_the_model_passes() -> None:
    with pytest.raises(InputError, match="no input"):
        descend(Steps(("meta",)), Trial({"meta": InputError("no input")}))


def test_a_model_that_cannot_be_made_ready_on_meta_goes_on() -> None:
    """The call that initializes lazy modules may need values too; there is then nothing to assume with."""
    trial = Trial({}, assumes=1)
    steps = Steps(("meta",), broken={"meta": NEEDS})
    assert descend(steps, trial).result == "cpu"
    assert steps.rooms == [1000]
    with pytest.raises(PlacementError, match="it asks for values"):
        descend(Steps(("meta",), real=None, broken={"meta": NEEDS}), trial)


def test_room_is_what_the_assumed_run_leaves() -> None:
    steps = Steps(("meta",))
    held = descend(steps, Trial({"meta": NEEDS}, assumes=300))
    assert (held.result, held.assumed, steps.rooms) == ("cpu", False, [700])


@pytest.mark.parametrize(
    ("broken", "failures"),
    [
        ({"room": PlacementError("too large", "use --device cpu")}, {}),
        ({"cpu": PlacementError("too large", "use --device cpu")}, {}),
        ({}, {"cpu": ForwardError("too large")}),
    ],
)
def test_assumptions_stand_where_no_real_run_can(broken: dict[str, ModelError], failures: dict[str, Exception]) -> None:
    steps = Steps(("meta",), broken=broken)
    held = descend(steps, Trial({"meta": NEEDS, **failures}, assumes=300))
    assert (held.result, held.assumed) == ("assumed meta", True)
    assert held.notes == ("not run on meta alone: it asks for values; and not run for real: too large", "on meta")


def test_nothing_holds() -> None:
    steps = Steps(("meta",), broken={"room": PlacementError("too large", "use --device cpu")})
    with pytest.raises(PlacementError) as caught:
        descend(steps, Trial({"meta": NEEDS}))
    assert caught.value.message == "too large; and it cannot run without memory: it asks for values"
    assert caught.value.hint == "use --device cpu"
    with pytest.raises(PlacementError, match="it asks for values") as caught:
        descend(Steps(("meta",), real=None), Trial({"meta": NEEDS}))
    assert caught.value.hint == "run it for real: --device cpu"
    with pytest.raises(ForwardError, match="it has a fault"):
        descend(Steps(("meta",)), Trial({"meta": NEEDS, "cpu": OWN}))
    with pytest.raises(BuildError, match="no"):
        descend(Steps(("meta",), broken={"room": BuildError("no")}), Trial({"meta": NEEDS}, assumes=1))


@pytest.mark.parametrize(
    ("cause", "needs"),
    [
        (NotImplementedError("no kernel"), True),
        (RuntimeError("Expected all tensors to be on the same device"), True),
        (RuntimeError("aten::nonzero is data-dependent"), True),
        (RuntimeError("sizes do not match"), False),
        (None, False),
    ],
)
def test_which_failures_values_may_help(cause: Exception | None, needs: bool) -> None:
    trial = Trial({})
    for error in (ForwardError("x"), ModelError("x")):
        error.__cause__ = cause
        assert trial.needs_values(error) is (needs and isinstance(error, ForwardError))


def test_the_signs_are_torchs_own() -> None:
    """What torch says today of questions to a meta tensor."""
    tensor, trial = torch.zeros(3, device="meta"), Trial({})
    for question in (lambda: tensor.sum().item(), lambda: bool(tensor.sum()), tensor.tolist, tensor.numpy):
        with pytest.raises((RuntimeError, TypeError)) as caught:
            question()
        error = ForwardError("x")
        error.__cause__ = caught.value
        assert trial.needs_values(error), caught.value
