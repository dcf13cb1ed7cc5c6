"""A rung is ready to run: built, seen through, initialized, with inputs on the device of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.parameter import is_lazy

import torchstat_cli as ms
from torchstat_cli.errors import ForwardError, InputError, PlacementError, UsageError
from torchstat_cli.loading import Inputs, InputSpec, find_model
from torchstat_cli.tasks.profile import profile_live, profile_spec
from torchstat_cli.tasks.rungs import LiveLadder, SpecLadder
from torchstat_cli.tasks.settings import Settings

MODELS = '''
import torch
from torch import nn


class Tables(nn.Module):
    """The forward pass asks a buffer for its values."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.register_buffer("rounds", torch.tensor(3))

    def forward(self, x):
        for _ in range(int(self.rounds)):
            x = self.layer(x)
        return x


class Uses(nn.Module):
    """The parameters are of values that construction computes with."""

    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.arange(4.0))
        self.layer = nn.Linear(4, 4)
        self.scale = float(self.layer.weight.sum())

    def forward(self, x):
        return self.layer(x)


class Questions(nn.Module):
    """Lazy, and the forward pass asks an input for its values."""

    def __init__(self):
        super().__init__()
        self.layer = nn.LazyLinear(5)

    def forward(self, x):
        return self.layer(x) if (x * 0).sum().item() == 0 else x


def lazy():
    return nn.Sequential(nn.LazyLinear(5))


def wrapped():
    return nn.DataParallel(nn.Linear(4, 5))
'''


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rung_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)


ROWS = (InputSpec(None, (2, 4), None, None),)


def rungs(name: str, given: Any = ROWS, **options: Any) -> list[Any]:
    ladder = SpecLadder(find_model(f"rung_models.py:{name}"), given, **options)
    return [ladder.rung(placed) for placed in ladder.placements()]


def test_a_spec_is_tried_on_meta_and_then_with_its_tables() -> None:
    first, second = rungs("Tables")
    assert (first.placement, second.placement) == ("meta", "meta+values")
    assert first.on_meta
    assert second.on_meta
    assert first.model.rounds.is_meta
    assert int(second.model.rounds) == 3
    assert second.model.layer.weight.is_meta
    assert second.inputs.args[0].is_meta


def test_there_is_no_rung_with_tables_where_none_are_or_none_can_be() -> None:
    assert [rung.placement for rung in rungs("lazy")] == ["meta"]
    assert [rung.placement for rung in rungs("Tables", device="cpu")] == ["cpu"]


def test_construction_that_needs_parameters_ends_on_the_cpu() -> None:
    (rung,) = rungs("Uses")
    assert (rung.placement, rung.on_meta) == ("cpu", False)
    assert "construction needs values" in rung.notes[0]
    with pytest.raises(PlacementError, match="cannot be built without memory"):
        rungs("Uses", device="meta")


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_lazy_modules_are_initialized_before_the_run(device: str) -> None:
    (rung,) = rungs("lazy", device=device)
    assert tuple(rung.model[0].weight.shape) == (5, 4)
    assert rung.model[0].weight.is_meta is (device == "auto")


def test_lazy_modules_stay_so_without_inputs() -> None:
    (rung,) = rungs("lazy", None)
    assert rung.inputs is None
    assert is_lazy(rung.model[0].weight)


def test_a_wrapper_is_seen_through_and_named() -> None:
    (rung,) = rungs("wrapped")
    assert isinstance(rung.model, nn.Linear)
    assert rung.origin.class_name == "Linear"
    assert rung.notes == ("measured on the module inside DataParallel",)


def test_inputs_are_of_the_dtype_of_the_model() -> None:
    (rung,) = rungs("lazy", device="cpu", dtype=torch.float64)
    assert rung.call.args[0].dtype is torch.float64


def test_inputs_that_are_missing_are_asked_for() -> None:
    (rung,) = rungs("wrapped", None)
    with pytest.raises(InputError, match=r"rung_models\.py:wrapped does not say what input it takes"):
        _ = rung.call


def test_lazy_modules_whose_first_call_needs_values_are_measured_for_real() -> None:
    """4 inputs for each of 5 outputs, of 2 rows; and the profile names the lazy class that was built."""
    profile, notes = profile_spec(find_model("rung_models.py:Questions"), ROWS, Settings())
    assert (profile.provenance.placement, profile.total.params) == ("cpu", 4 * 5 + 5)
    assert "lazy modules, and the call that initialises them failed" in notes[0]
    assert notes[0].startswith("not run on meta alone: ")
    with pytest.raises(PlacementError, match="lazy modules"):
        profile_spec(find_model("rung_models.py:Questions"), ROWS, Settings(device="meta"))


def test_a_lazy_live_model_stays_lazy_and_keeps_its_name() -> None:
    model = nn.LazyLinear(5)
    profile, _ = profile_live(model, Inputs((torch.zeros(2, 4),), {}), Settings())
    assert is_lazy(model.weight)
    assert (profile.provenance.class_name, profile.total.params) == ("LazyLinear", 25)
    with pytest.raises(ForwardError, match="lazy modules"):
        profile_live(nn.LazyConv2d(3, 3), Inputs((torch.zeros(2, 4),), {}), Settings())


def test_a_lazy_model_is_timed_initialized() -> None:
    model = nn.Sequential(nn.LazyLinear(5))
    profile, _ = profile_live(model, Inputs((torch.zeros(2, 4),), {}), Settings(time=True))
    assert profile.total.duration_s
    assert type(model[0]) is nn.LazyLinear
    assert is_lazy(model[0].weight)


def test_a_live_model_stays_where_it_is() -> None:
    model, given = nn.Linear(4, 4), Inputs((torch.zeros(2, 4),), {})
    for device, placement in (("auto", "meta"), ("meta", "meta"), ("cpu", "cpu")):
        ladder = LiveLadder(model, given, device)
        (rung,) = [ladder.rung(placed) for placed in ladder.placements()]
        assert (rung.placement, rung.model is model) == (placement, True)
    with pytest.raises(UsageError, match="torch knows no device"):
        next(LiveLadder(model, given, "gpu").placements())
    with pytest.raises(UsageError, match="lies on cpu"):
        next(LiveLadder(model, given, "cuda").placements())


def test_a_live_model_runs_for_real_where_that_is_wanted_and_fits() -> None:
    given = Inputs((torch.zeros(2, 4),), {})
    placed = LiveLadder(nn.Linear(4, 4), given).for_real(0)
    assert placed is not None
    assert placed.placement == "cpu"
    assert LiveLadder(nn.Linear(4, 4), given, "meta").for_real(0) is None
    assert LiveLadder(nn.Linear(4, 4, device="meta"), given).for_real(0) is None
    with pytest.raises(PlacementError, match="more memory than may be used"):
        LiveLadder(nn.Linear(4, 4), given).for_real(-1)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_torchscript_without_inputs_asks_for_them(tmp_path: Path) -> None:
    torch.jit.script(nn.Linear(8, 4)).save(str(tmp_path / "model.pt"))  # type: ignore[no-untyped-call]
    with pytest.raises(InputError, match="does not say what input it takes") as raised:
        ms.profile(str(tmp_path / "model.pt"))
    assert raised.value.hint
