from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import measured_here
from tests.gate.project import GROWTH, PARAMS, Project
from torchstat_cli.cli.main import main
from torchstat_cli.gate.config import ModelEntry
from torchstat_cli.tasks import check


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    project = Project(tmp_path / "project")
    monkeypatch.chdir(project.root)
    monkeypatch.setattr(check, "measure_entries", measured_here)
    return project


def compare(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["compare", *words]) == 0
    return capsys.readouterr().out


def test_two_specs(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(compare(capsys, "models.py:plain", "models.py:tiny", "--input", "1,16", "--format", "json"))
    assert document["totals"]["params"] == {"before": 68, "after": PARAMS, "delta": PARAMS - 68}
    assert document["added"] == ["blocks", "head"]


def test_every_model_is_measured_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []

    def counted(entries: Sequence[ModelEntry], **options: Any) -> dict[str, Any]:
        measured.extend(entry.spec for entry in entries)
        return measured_here(entries)

    monkeypatch.setattr(check, "measure_entries", counted)
    assert main(["compare", "models.py:plain", "models.py:tiny", "--input", "1,16"]) == 0
    assert measured == ["models.py:plain", "models.py:tiny"]


def test_a_saved_report_with_what_it_became(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "models.py:tiny", "--input", "1,16", "--format", "json", "--output", "before.json"]) == 0
    project.widen()
    text = compare(capsys, "before.json", "models.py:tiny", "--input", "1,16")
    assert f"+{GROWTH / 1000:.3f} k" in text
    assert "  ~  +1.632 k" in text  # 3 · 32 · (16 + 1)
    assert "blocks.*.net.0   3 x Linear 16->64  is now 16->96" in text
    assert "added:" not in text


def test_two_saved_reports_need_no_model(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "models.py:tiny", "--input", "1,16", "--format", "json", "--output", "a.json"]) == 0
    (project.root / "models.py").unlink()
    assert compare(capsys, "a.json", "a.json").endswith("The two have the same layer groups.\n")


def test_to_a_file_as_markdown(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("models.py:plain", "models.py:plain", "--input", "1,16", "--format", "markdown", "--output", "c.md")
    assert compare(capsys, *words) == ""
    assert (project.root / "c.md").read_text().startswith("| | models.py:plain | models.py:plain | change | |\n")


def test_different_measurements_are_pointed_out(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    for name, batch in (("a.json", "1"), ("b.json", "2")):
        words = ["models.py:tiny", "--input", f"{batch},16", "--format", "json", "--output", name]
        assert main(["profile", *words]) == 0
    assert main(["compare", "a.json", "b.json"]) == 0
    assert "not quite comparable, input: 1x16:float32 against 2x16:float32" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("none.json", "models.py:plain"), "cannot read the report"),
        (("pyproject.toml", "models.py:plain", "--input", "1,16"), "pyproject.toml"),
        (("models.py:nope", "models.py:plain", "--input", "1,16"), "models.py:nope: "),
        (("models.py:plain",), "Missing argument"),
        (("broken.json", "broken.json"), "broken.json"),
        (("models.py:plain", "models.py:tiny", "--top", "0"), "--top"),
    ],
)
def test_misuse(project: Project, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    (project.root / "broken.json").write_text('{"schema": 1')
    assert main(["compare", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "Traceback" not in err


def test_a_name_that_no_file_system_takes(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    long = "a" * 300
    for words in ((f"{long}.json", "models:tiny"), (long, long)):
        assert main(["compare", *words]) == 2
        assert "this is a bug" not in capsys.readouterr().err
