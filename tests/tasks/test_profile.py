"""The ladder: which rung a run holds on, what is said about the others, and what is tried for real."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.capture.modules import LINEAR, ROWS, Custom, linear
from torchstat_cli.errors import ForwardError, InputError, PlacementError, UsageError
from torchstat_cli.loading import Inputs, InputSpec, find_model
from torchstat_cli.tasks.profile import profile_live, profile_spec
from torchstat_cli.tasks.settings import Settings

GIVEN = Inputs((ROWS,), {})


def asking(question: Any) -> Custom:
    """A model with one linear layer that runs on only if ``question`` of its output says so."""
    return Custom(lambda self, x: self.inner(x) if question(self.inner(x)) else x, inner=linear())


def test_plain_model_runs_on_meta_without_a_note() -> None:
    profile, notes = profile_live(linear(), GIVEN, Settings())
    assert (profile.provenance.placement, notes) == ("meta", ())


def test_model_that_asks_for_values_runs_for_real_and_says_why() -> None:
    profile, notes = profile_live(asking(lambda y: (y * 0).sum().item() == 0), GIVEN, Settings())
    assert (profile.provenance.placement, profile.total.madds) == ("cpu", 2 * LINEAR)
    assert len(notes) == 1
    assert notes[0].startswith("not run on meta alone: ")


def test_device_cpu_runs_for_real_at_once() -> None:
    profile, notes = profile_live(linear(), GIVEN, Settings(device="cpu"))
    assert (profile.provenance.placement, notes) == ("cpu", ())


def test_model_that_does_not_fit_is_not_run_for_real(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchstat_cli.tasks.ladder.unasked_limit", lambda: -1)
    model = Custom(lambda self, x: self.inner(x)[self.inner(x)[:, 0] > 0], inner=linear())
    profile, notes = profile_live(model, GIVEN, Settings())
    assert profile.provenance.placement.startswith("meta")
    assert len(profile.provenance.assumptions) == 1
    assert "and not run for real" in notes[0]


def test_forward_that_fails_everywhere_is_reported_once() -> None:
    with pytest.raises(ForwardError, match=r"forward failed.*2x5: RuntimeError") as caught:
        profile_live(linear(), Inputs((torch.zeros(2, 5),), {}), Settings())
    assert caught.value.hint


def test_failure_on_the_real_rung_is_the_models_own() -> None:
    """On meta the model only asks for a value; for real it then raises."""

    def forward(self: Custom, x: torch.Tensor) -> torch.Tensor:
        if self.inner(x).sum().item() is not None:
            raise ValueError("no luck")
        return x

    with pytest.raises(ForwardError, match="ValueError: no luck"):
        profile_live(Custom(forward, inner=linear()), GIVEN, Settings(device="cpu"))


def test_wrapper_is_named_in_the_notes() -> None:
    _, notes = profile_live(nn.DataParallel(linear()), GIVEN, Settings())
    assert notes == ("measured on the module inside DataParallel",)


def test_model_without_tensors_lies_on_the_cpu() -> None:
    profile, _ = profile_live(nn.ReLU(), GIVEN, Settings(device="cpu"))
    assert profile.total.flops == 8


def test_spec_uses_its_own_example_inputs() -> None:
    profile, _ = profile_spec(find_model("sample_models.mlp:mlp"), None, Settings())
    assert [entry.shape for entry in profile.provenance.inputs] == [(1, 784)]


def test_spec_without_inputs_says_what_the_forward_wants(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "silent.py").write_text(
        "from torch import nn\n\n\nclass Net(nn.Module):\n    def forward(self, pixels, mask, *, scale=1):\n"
        "        return pixels\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="does not say what input it takes; its forward wants pixels, mask") as caught:
        profile_spec(find_model("silent.py:Net"), None, Settings())
    assert caught.value.hint == "give each: --input pixels=SHAPE --input mask=SHAPE (or --inputs module:function)"


def test_dtype_is_that_of_parameters_and_inputs() -> None:
    settings = Settings(dtype=torch.bfloat16)
    profile, _ = profile_spec(find_model("sample_models.mlp:mlp"), None, settings)
    assert profile.provenance.inputs[0].dtype == "bfloat16"
    assert profile.total.param_bytes == 2 * profile.total.params


def test_input_specs_of_a_live_model() -> None:
    specs = (InputSpec(None, (3, 4), None, None),)
    assert profile_live(linear(), specs, Settings())[0].total.madds == 3 * 16


def test_live_model_stays_where_it_is() -> None:
    with pytest.raises(UsageError, match=r"(?s)lies on cpu, not on cuda.*move it first"):
        profile_live(linear(), GIVEN, Settings(device="cuda"))


def test_mode_must_be_one() -> None:
    with pytest.raises(UsageError, match="there is no mode 'infer'"):
        Settings(mode="infer")  # type: ignore[arg-type]


def test_spec_too_large_for_the_machine_is_refused_not_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model asks for values that nobody can assume, and 4 bytes may be used."""
    monkeypatch.setattr("torchstat_cli.tasks.ladder.unasked_limit", lambda: 4)
    with pytest.raises(PlacementError) as caught:
        profile_spec(
            find_model("tests.tasks.test_profile:stubborn"), (InputSpec(None, (2, 4), None, None),), Settings()
        )
    assert "cannot run without memory" in str(caught.value)
    assert "--device cpu" in str(caught.value)


def stubborn() -> nn.Module:
    """Converts to numpy, which no rung without memory can answer."""
    return Custom(lambda self, x: self.inner(torch.from_numpy(self.inner(x).numpy())), inner=linear())
