"""Sweeps in real worker processes: rows equal the models' own profiles, and what fails is a row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import torchstat_cli as ms
from torchstat_cli.errors import InputError, UsageError
from torchstat_cli.records import SWEEP_NUMBERS, SweepRow
from torchstat_cli.tasks.sweep.ledger import Ledger
from torchstat_cli.tasks.sweep.measuring import SweepSettings
from torchstat_cli.tasks.sweep.run import SweepRequest, recorded, run_sweep
from torchstat_cli.tasks.sweep.variants import parse_variants, tasks_of

ODD = """
import os, time
from torch import nn

def slow():
    time.sleep(60)

def dies():
    os._exit(3)

def raises():
    raise RuntimeError("no such table")

def wide(width=4):
    return nn.Linear(8, width)
wide.example_inputs = ["1,8"]
"""


@pytest.fixture
def odd(tmp_path: Path) -> str:
    path = tmp_path / "odd.py"
    path.write_text(ODD)
    return str(path)


def test_rows_equal_the_profiles_and_failures_are_rows(odd: str) -> None:
    models = ["sample_models/mlp", f"{odd}:raises", f"{odd}:dies", f"{odd}:slow", "sample_models/vit_tiny", "nosuch:x"]
    result = run_sweep(tasks_of(models, {}), SweepSettings(memory=True), SweepRequest(jobs=2, timeout=20))
    assert [row.model for row in result.rows] == models
    assert [row.status for row in result.rows] == ["ok", "failed", "died", "timeout", "ok", "failed"]
    for row in (result.rows[0], result.rows[4]):
        total = ms.profile(row.model, memory=True).total
        assert row.numbers == {name: getattr(total, name) for name in SWEEP_NUMBERS}
    assert "no such table" in (result.rows[1].error or "")
    assert result.failed == 4


def test_variants_are_rows_of_their_own(odd: str) -> None:
    tasks = tasks_of([f"{odd}:wide"], parse_variants(["batch=1,3", "arg.width=4,5"]))
    rows = run_sweep(tasks, SweepSettings(), SweepRequest(jobs=1)).rows
    # By hand: batch x 8 x width multiply-adds; 8 x width + width parameters.
    assert [row.numbers["madds"] for row in rows] == [32, 40, 96, 120]
    assert [row.numbers["params"] for row in rows] == [36, 45, 36, 45]
    assert [row.input for row in rows] == ["1x8", "1x8", "3x8", "3x8"]


def test_a_sweep_goes_on_where_it_was(tmp_path: Path, odd: str) -> None:
    settings, output = SweepSettings(), str(tmp_path / "out.csv")
    tasks = tasks_of([f"{odd}:wide", "sample_models/mlp"], {})
    whole = run_sweep(tasks, settings, SweepRequest(jobs=1))
    ledger = Ledger(output, recorded(settings))
    ledger.add(whole.rows[0])
    with ledger.path.open("a") as file:
        file.write('{"model": "sample_mod')  # cut by what ended the run
    again = Ledger(output, recorded(settings))
    assert list(again.rows.values()) == [whole.rows[0]]
    measured: list[str] = []
    assert run_sweep(tasks, settings, SweepRequest(jobs=1), again, measured.append) == whole
    assert measured == [f"{odd}:wide", "sample_models/mlp"]
    assert len(again.path.read_text().splitlines()) == 3  # a header and two rows
    again.close()
    assert not again.path.exists()


def test_a_ledger_of_other_settings_is_refused(tmp_path: Path) -> None:
    output = str(tmp_path / "out.csv")
    Ledger(output, recorded(SweepSettings())).add(SweepRow("a", {}, "failed", "x"))
    with pytest.raises(InputError, match="another memory"):
        Ledger(output, recorded(SweepSettings(memory=True)))


@pytest.mark.parametrize("content", ["hello\n", "[]\n", json.dumps({"kind": "else"}) + "\n", "\xff"])
def test_a_file_that_is_no_ledger_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "out.csv.partial"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError):
        Ledger(str(tmp_path / "out.csv"), {})
    assert path.read_bytes() == content.encode("latin-1")


@pytest.mark.parametrize("request_", [{"jobs": 0}, {"timeout": 0.0}, {"memory_limit": -1}])
def test_requests_that_cannot_be(request_: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        SweepRequest(**request_)  # type: ignore[arg-type]


def test_in_python(odd: str) -> None:
    sweep = ms.sweep(f"{odd}:wide", vary={"arg.width": [4, 5]}, jobs=1)
    frame = sweep.to_pandas()
    assert list(frame["params"]) == [36, 45]
    assert list(frame["arg.width"]) == ["4", "5"]
    assert sweep.to_csv().splitlines()[0].startswith("model,arg.width,class,input,params")
    with pytest.raises(ms.ModelstatError):
        ms.sweep()
    with pytest.raises(ms.ModelstatError):
        ms.sweep(object())  # type: ignore[arg-type]
