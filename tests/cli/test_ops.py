"""``modelstat ops``: the registry in words."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.cli.running import refused, run
from torchstat_cli.tasks.registry import operator_formulas


def test_every_entry_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(run(capsys, "ops", "--format", "json").out)
    assert [row["operator"] for row in rows] == [row[0] for row in operator_formulas()]
    assert all(all(row.values()) for row in rows)  # nothing without words, convention and source


def test_glob_chooses(capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "ops", "aten.conv?d", "--format", "csv").out
    header, *rows = csv.reader(io.StringIO(out))
    assert header == ["operator", "formula", "convention", "source"]
    assert [row[0] for row in rows] == ["aten.conv1d", "aten.conv2d", "aten.conv3d"]


def test_free_operators_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = csv.DictReader(io.StringIO(run(capsys, "ops", "aten.view", "--format", "csv").out))
    assert row["convention"] == "free by definition"


def test_table_and_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "aten.linear" in run(capsys, "ops", "aten.linear").out
    outcome = run(capsys, "ops", "aten.linear", "--output", str(tmp_path / "ops.txt"))
    assert (outcome.code, outcome.out) == (0, "")
    assert "aten.linear" in (tmp_path / "ops.txt").read_text()


def test_pattern_that_matches_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no operator matches 'aten.conw*'" in refused(capsys, "ops", "aten.conw*")


def test_folder_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert "cannot write 'missing/ops.csv'" in refused(capsys, "ops", "--output", "missing/ops.csv")
