"""Measuring for the gate, with real worker processes where that is the point."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.gate.project import PARAMS, Project
from torchstat_cli.errors import ConfigError, InputError, ModelError, SpecError
from torchstat_cli.gate.config import ModelEntry
from torchstat_cli.records import Profile
from torchstat_cli.tasks.check import measure_entries, measure_entry, measure_live

TINY = ModelEntry("tiny", "models.py:tiny", {}, inputs=("1,16",))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def test_specs_start_in_the_folder_of_the_configuration(project: Project) -> None:
    before = os.getcwd()
    profile = measure_entry(replace(TINY, directory=str(project.root)))
    assert profile.total.params == PARAMS
    assert os.getcwd() == before
    with pytest.raises(SpecError):
        measure_entry(replace(TINY, directory=str(project.root), spec="models.py:nope"))
    assert os.getcwd() == before


def test_numbers_beyond_what_a_baseline_holds(project: Project) -> None:
    (project.root / "wide.py").write_text(
        "import torch\ndef wide(): return torch.nn.Linear(2**22, 2**22, bias=False)\n"
    )
    entry = ModelEntry("wide", "wide.py:wide", {}, directory=str(project.root), inputs=(f"{2**18},{2**22}",))
    # 2^18 rows make 2 · 2^18 · 2^22 · 2^22 operations.
    with pytest.raises(ModelError, match=r"its flops are 9223372036854775808, more than a baseline holds"):
        measure_entry(entry)
    profile = measure_entry(replace(entry, inputs=(f"{2**17},{2**22}",)))
    assert profile.total.flops == 2**62


def test_every_setting_of_a_model_arrives(project: Project) -> None:
    (project.root / "more.py").write_text(
        "import torch\n"
        "def wide(width): return torch.nn.Sequential(torch.nn.Linear(8, width), torch.nn.Dropout())\n"
        "def given(): return torch.zeros(3, 8)\n"
    )
    entry = ModelEntry("wide", "more.py:wide", {}, inputs=("2,8",), arguments={"width": 5}, directory=str(project.root))
    profile = measure_entry(replace(entry, mode="train", dtype="bfloat16"))
    assert profile.total.params == 8 * 5 + 5
    assert profile.provenance.mode == "train"
    (tensor,) = profile.provenance.inputs
    assert (tensor.shape, tensor.dtype) == ((2, 8), "bfloat16")
    handed = measure_entry(replace(entry, inputs=(), inputs_factory="more.py:given"))
    assert handed.provenance.inputs[0].shape == (3, 8)
    with pytest.raises(ConfigError, match="both input and inputs"):
        measure_entry(replace(entry, inputs_factory="more.py:given"))
    with pytest.raises(InputError):
        measure_entry(replace(entry, inputs=("2,x",)))


def test_a_live_module() -> None:
    profile = measure_live(torch.nn.Linear(4, 3), (torch.zeros(2, 4),))
    assert (profile.total.params, profile.total.madds) == (15, 2 * 4 * 3)


def test_a_crash_a_hang_and_a_failure_each_cost_one_model(project: Project) -> None:
    (project.root / "bad.py").write_text(
        "import os, signal, time\n"
        "def crash(): os.kill(os.getpid(), signal.SIGSEGV)\n"
        "def hang(): time.sleep(600)\n"
        "def leave(): os._exit(0)\n"
    )
    entries = [
        replace(TINY, name=name, spec=spec, directory=str(project.root))
        for name, spec in (
            ("first", "models.py:tiny"),
            ("crash", "bad.py:crash"),
            ("hang", "bad.py:hang"),
            ("leave", "bad.py:leave"),
            ("last", "models.py:tiny"),
        )
    ]
    ended: list[str] = []
    outcomes = measure_entries(entries, jobs=2, timeout=8, done=ended.append)
    assert sorted(ended) == sorted(outcomes) == ["crash", "first", "hang", "last", "leave"]
    for name in ("first", "last"):
        outcome = outcomes[name]
        assert isinstance(outcome, Profile)
        assert outcome.total.params == PARAMS
    assert [str(outcomes[name]).splitlines()[0] for name in ("crash", "hang", "leave")] == [
        "the process that measured it died with signal 11 (SIGSEGV)",
        "measuring took longer than 8 s and was stopped",
        "the process that measured it died with exit code 0",
    ]
    assert all(isinstance(outcomes[name], ModelError) for name in ("crash", "hang", "leave"))
