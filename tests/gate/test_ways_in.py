"""The gate as people meet it: a branch widens a layer, and the command, GitHub's action and pre-commit all say so."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.gate.project import GROWTH, PARAMS, Project, Result
from tests.gate.repository import Repository

ROOT = Path(__file__).parents[2]

# FLOPs of a block of 64 hidden units: 2·16·64 + 64, ReLU 64, 2·64·16 + 16, the sum 16; of 96: 32·(33 + 1 + 32) more.
# Bytes it allocates: 4·(64 + 64 + 16 + 16), then 4·(96 + 96 + 16 + 16); the head of both: 330 FLOPs, 40 bytes.
FAILURE = """\
PASS  plain   params 68  =    flops 132  =    memory 16 B  =
FAIL  tiny    models.py:28

        metric      baseline          now               change    limit
  FAIL  params       6.554 k      9.722 k   +3.168 k  +48.34 %      +1%
  FAIL  flops        13.10 k      19.43 k   +6.336 k  +48.37 %      +1%
  ok    memory     1.914 KiB    2.664 KiB   +768 B    +39.18 %    1 MiB

  Why: 3 of 5 layer groups changed and explain all of the growth
       params       flops
  ~  +1.632 k    +3.168 k   blocks.*.net.0   3 x Linear 16->64  is now 16->96
  ~  +1.536 k    +3.072 k   blocks.*.net.2   3 x Linear 64->16  is now 96->16
  ~         =         +96   blocks.*.net.1   3 x ReLU

  Edge budget, see docs/edge.md before raising
  Intended?   modelstat check tiny --update      then commit baselines/models.json
  Too tight?  edit limits in pyproject.toml, [tool.modelstat.models.tiny]

FAIL  1 of 2 models: 2 of 6 numbers over their limit
"""


@pytest.fixture
def project(repository: Repository) -> Project:
    """On ``main`` a committed baseline; on the branch that is checked out, a widened layer."""
    project = Project(repository.root)
    assert project.modelstat("check", "--update").code == 0
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message", "guard the models")
    repository.git("switch", "--quiet", "--create", "wider")
    project.widen()
    repository.git("commit", "--quiet", "--all", "--message", "widen the feed-forward part")
    return project


def test_the_command(project: Project) -> None:
    result = project.modelstat("check", "--against", "main")
    assert result.code == 1
    assert result.out == FAILURE
    assert project.modelstat("check").out == result.out
    assert project.modelstat("check", "--update").code == 0
    assert project.modelstat("check").code == 0
    accepted = project.modelstat("check", "--against", "main")
    assert accepted.code == 0
    assert f"  tiny: params {PARAMS / 1000:.3f} k -> {(PARAMS + GROWTH) / 1000:.3f} k" in accepted.out
    assert ", accepted in this branch\n" in accepted.out
    assert "none grew" not in accepted.out


class Action:
    """The composite action, its shell steps run here as GitHub's runner would."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._text = yaml.safe_load((ROOT / "action.yml").read_text())
        self.summary = project.root.parent / "summary.md"
        self.output = project.root.parent / "output.txt"

    def run(self, **inputs: str) -> Result:
        """Run all steps with ``inputs``, dashes written as underscores; the first that fails is the last."""
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        assert set(given) <= set(self._text["inputs"])
        values = {name: given.get(name, spec["default"]) for name, spec in self._text["inputs"].items()}
        result = Result(0, "", "")
        for step in self._text["runs"]["steps"]:
            if step.get("if") == "inputs.install != ''" and not values["install"]:
                continue
            result = self._step(step, values)
            if result.code:
                break
        return result

    def _step(self, step: dict[str, Any], values: dict[str, str]) -> Result:
        assert step["shell"] == "bash"
        assert "${{" not in step["run"], "an input pasted into a script can end it"
        environment = {name: self._filled(value, values) for name, value in step["env"].items()}
        assert self._filled(step["working-directory"], values) == "."
        return self._project.run(
            *("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]),
            **environment,
            GITHUB_ACTIONS="true",
            GITHUB_WORKSPACE=str(self._project.root),
            GITHUB_STEP_SUMMARY=str(self.summary),
            GITHUB_OUTPUT=str(self.output),
            CI="true",
        )

    @staticmethod
    def _filled(text: str, values: dict[str, str]) -> str:
        return re.sub(r"\$\{\{ inputs\.([a-z-]+) \}\}", lambda match: values[match[1]], text)


def test_the_action(project: Project) -> None:
    action = Action(project)
    result = action.run(install="", against="main", json="verdict.json", junit="verdict.xml")
    assert result.code == 1
    assert result.out == FAILURE
    assert "::error title=modelstat tiny,file=models.py,line=28::params 6.554 k -> 9.722 k (+48.34 %25)" in result.err
    assert action.summary.read_text().startswith(
        "<!-- modelstat:check -->\n### modelstat: 1 of 2 models over its limit"
    )
    assert action.output.read_text() == "exit-code=1\n"
    assert {"verdict.json", "verdict.xml"} <= set(os.listdir(project.root))
    assert project.modelstat("check", "--update").code == 0
    assert action.run(install="", against="main").code == 0


def test_inputs_of_the_action(project: Project) -> None:
    action = Action(project)
    assert action.run(install="", models="plain").code == 0
    assert action.run(install="", models="tiny", limits="params=off\nflops=+50%\n").code == 0
    assert action.run(install="", models="tiny", args="--exit-zero").code == 0
    assert action.run(install="", models="tny").code == 2
    harmless = action.run(install="", against="main; touch broken", args="$(touch broken)")
    assert harmless.code == 2
    assert not (project.root / "broken").exists()
    assert action.output.read_text().splitlines()[-1] == "exit-code=2"


def test_what_the_action_installs(project: Project, tmp_path: Path) -> None:
    """By default the folder that the action lies in; python is a stand-in that notes what pip is asked for."""
    noted = tmp_path / "pip.txt"
    bin_folder = tmp_path / "stand-ins"
    bin_folder.mkdir()
    (bin_folder / "python").write_text(f'#!/bin/sh\necho "$@" > {noted}\n')
    (bin_folder / "python").chmod(0o755)
    (install, _) = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
    path = {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "GITHUB_ACTION_PATH": "/runner/tools/model stat"}
    default = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]["install"]["default"]
    for wanted, given in ((default, "/runner/tools/model stat"), ("one==2 three", "one==2 three")):
        result = project.run("bash", "-c", install["run"], MODELSTAT_INSTALL=wanted, **path)
        assert result.code == 0, result.err
        assert noted.read_text() == f"-m pip install --quiet {given}\n"


def test_every_input_of_the_action_is_documented() -> None:
    text = yaml.safe_load((ROOT / "action.yml").read_text())
    guide = (ROOT / "docs" / "ci.md").read_text()
    for name, spec in text["inputs"].items():
        assert len(spec["description"]) > 10
        assert f"`{name}`" in guide, name


def test_pre_commit(project: Project) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    # pre-commit runs the entry of such a hook as it is, in the root of the repository, without file names.
    assert (hook["language"], hook["pass_filenames"]) == ("system", False)
    result = project.run(*shlex.split(hook["entry"]))
    assert result.code == 1
    assert result.out == FAILURE
    assert project.modelstat("check", "--update").code == 0
    assert project.run(*shlex.split(hook["entry"])).code == 0
