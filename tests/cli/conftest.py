"""A scratch project for ``modelstat check``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.running import measured_here, run_check
from tests.gate.project import Project
from torchstat_cli.tasks import check


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    project = Project(tmp_path / "project")
    monkeypatch.chdir(project.root)
    monkeypatch.setattr(check, "measure_entries", measured_here)
    for name in ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    return project


@pytest.fixture
def guarded(project: Project, capsys: pytest.CaptureFixture[str]) -> Project:
    """The project with a baseline."""
    assert run_check("--update") == 0
    capsys.readouterr()
    return project
