"""The pytest plugin, run in a pytest of its own over a scratch project."""

from __future__ import annotations

import json
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tests.gate.project import GROWTH, PARAMS, Project, Result

TESTS = """\
import pytest

def test_fixture(modelstat_check):
    verdict = modelstat_check("tiny")
    assert verdict.exit_code == 0

@pytest.mark.modelstat_check("plain", params="+0")
def test_marker():
    pass
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path / "project")
    (project.root / "test_cost.py").write_text(TESTS)
    return project


def run(project: Project, *words: str, **environment: str) -> Result:
    """The outcome of pytest; the plugin is named where this checkout is not installed."""
    installed = any(point.value == "torchstat_cli.pytest_plugin" for point in entry_points(group="pytest11"))
    named = () if installed else ("-p", "torchstat_cli.pytest_plugin")
    options = ("-q", "-p", "no:cacheprovider", "-W", "error", "--strict-markers")
    return project.run(sys.executable, "-m", "pytest", *named, *options, *words, **environment)


def test_update_then_pass_then_fail(project: Project) -> None:
    first = run(project)
    assert first.code == 1
    assert "error: no baseline at baselines/models.json" in first.out
    update = run(project, "--modelstat-update")
    assert update.code == 0, update.out
    assert "wrote plain, tiny: now commit" in update.out
    totals = {name: entry["totals"] for name, entry in json.loads(project.baseline.read_text())["models"].items()}
    assert (totals["tiny"]["params"], totals["plain"]["params"]) == (PARAMS, 68)
    written = project.baseline.read_bytes()
    assert project.modelstat("check", "--update").code == 0
    assert project.baseline.read_bytes() == written, "the command and the plugin write the same bytes"

    project.widen()
    project.edit("models.py", "nn.Linear(16, 4)", "nn.Linear(16, 5)")
    failing = run(project)
    assert failing.code == 1
    assert "2 failed" in failing.out
    assert f"+{GROWTH / 1000:.3f} k" in failing.out
    assert "blocks.*.net.0   3 x Linear 16->64  is now 16->96" in failing.out
    assert "1 x Linear 16->4  is now 16->5" in failing.out
    assert "Intended?   pytest --modelstat-update      then commit baselines/models.json" in failing.out
    assert "Traceback" not in failing.out


def test_live_modules_and_limits_of_the_test(project: Project) -> None:
    (project.root / "test_cost.py").write_text(
        "import torch\n"
        "def test_live(modelstat_check):\n"
        "    modelstat_check(torch.nn.Linear(4, 3), torch.zeros(2, 4), params='15', flops='off')\n"
        "def test_named(modelstat_check):\n"
        "    modelstat_check(torch.nn.Linear(4, 3), torch.zeros(2, 4), name='layer', params='14', flops='off')\n"
    )
    result = run(project)
    assert result.code == 1
    assert "1 failed, 1 passed" in result.out
    assert "FAIL  layer" in result.out
    assert "no baseline entry yet, only ceilings were judged: layer, test_live" in result.out


def test_what_cannot_be_decided_fails(project: Project) -> None:
    (project.root / "test_cost.py").write_text(
        "import pytest\n"
        "def test_typo(modelstat_check):\n    modelstat_check('tny')\n"
        "def test_limit(modelstat_check):\n    modelstat_check('tiny', flop='3 G')\n"
        "@pytest.mark.modelstat_check\ndef test_nameless():\n    pass\n"
    )
    result = run(project)
    assert result.code == 1
    assert "3 failed" in result.out
    assert "did you mean 'tiny'?" in result.out
    assert "did you mean 'flops'?" in result.out
    assert "names no model" in result.out


@pytest.mark.parametrize("content", ["{", '{"schema": 1, "models": {"tiny": 3}}'])
def test_a_broken_baseline_is_told_once_for_each_test(project: Project, content: str) -> None:
    project.baseline.parent.mkdir()
    project.baseline.write_text(content)
    for words in ((), ("--modelstat-update",)):
        result = run(project, *words, "-rN")
        assert result.code == 1
        assert result.out.count("error: the baseline ") == 2, result.out
        assert "During handling" not in result.out
        assert "Traceback" not in result.out
        assert project.baseline.read_text() == content


def test_a_baseline_that_cannot_be_written(project: Project) -> None:
    in_the_way = "\ndef test_last():\n    open('baselines', 'w').close()  # a file where the folder should be\n"
    (project.root / "test_cost.py").write_text(TESTS + in_the_way)
    result = run(project, "--modelstat-update")
    assert "3 passed" in result.out
    assert result.code == 2
    assert (result.out + result.err).count("error: cannot read the baseline") == 1
    assert "now commit" not in result.out
    assert "Traceback" not in result.out + result.err


def test_no_update_in_ci(project: Project) -> None:
    result = run(project, "--modelstat-update", CI="true")
    assert result.code == pytest.ExitCode.USAGE_ERROR
    assert "refused in CI" in result.err
    assert not project.baseline.exists()


def test_workers_of_xdist_write_one_baseline(project: Project) -> None:
    pytest.importorskip("xdist")
    result = run(project, "--modelstat-update", "-n", "2")
    assert result.code == 0, result.out
    assert "wrote plain, tiny: now commit" in result.out
    assert set(json.loads(project.baseline.read_text())["models"]) == {"plain", "tiny"}


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_sample_model_by_a_bare_name(project: Project, workers: tuple[str, ...]) -> None:
    """No library knows a model called mlp, whichever is installed here."""
    if workers:
        pytest.importorskip("xdist")
    (project.root / "pyproject.toml").write_text(
        "[tool.modelstat.models.net]\nspec = 'mlp'\nlimits = { params = '1 G', flops = '1 G' }\n"
    )
    (project.root / "test_cost.py").write_text(
        "def test_one(modelstat_check):\n    modelstat_check('net')\n"
        "def test_two(modelstat_check):\n    modelstat_check('net')\n"
    )
    result = run(project, *workers)
    assert result.code == 0, result.out
    assert result.out.count("note: mlp is a sample model of modelstat") == 1
    (project.root / "mlp.py").write_text("from torch import nn\nclass Net(nn.Module): ...\n")
    result = run(project, *workers)
    assert result.code == 1
    assert "error: net: mlp may mean mlp.py here or a sample model of modelstat\n  for yours write mlp.py:Net;" in (
        result.out.replace("E       ", "")
    )


def test_other_test_suites_pay_nothing(project: Project) -> None:
    (project.root / "test_cost.py").write_text(
        "import sys\n"
        "HEAVY = {'torch', 'rich', 'pandas', 'torchstat_cli.pytest_gate'}\n"
        "def test_nothing():\n"
        "    assert not HEAVY & set(sys.modules)\n"
    )
    assert run(project).code == 0
