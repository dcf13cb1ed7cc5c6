"""``modelstat check`` in a scratch project; the models are measured in this process, as workers cost seconds."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.gate.project import GROWTH, PARAMS, Project
from torchstat_cli import checking
from torchstat_cli.cli import check
from torchstat_cli.cli.main import main
from torchstat_cli.errors import ModelstatError
from torchstat_cli.gate.config import ModelEntry


def measured_here(entries: Sequence[ModelEntry], **options: Any) -> dict[str, Any]:
    """``measure_entries`` without worker processes."""
    outcomes: dict[str, Any] = {}
    for entry in entries:
        try:
            outcomes[entry.name] = checking.measure_entry(entry)
        except ModelstatError as error:
            outcomes[entry.name] = error
    return outcomes


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    project = Project(tmp_path / "project")
    monkeypatch.chdir(project.root)
    monkeypatch.setattr(checking, "measure_entries", measured_here)
    for name in ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    return project


@pytest.fixture
def guarded(project: Project, capsys: pytest.CaptureFixture[str]) -> Project:
    """The project with a baseline."""
    assert run("--update") == 0
    capsys.readouterr()
    return project


def run(*words: str) -> int:
    """The exit code of ``modelstat check``."""
    return main(["check", *words])


def test_the_whole_life_of_a_baseline(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 2
    assert capsys.readouterr() == (
        "",
        "error: no baseline at baselines/models.json and no ceiling is configured, so nothing can be checked\n"
        "  make one and commit it:  modelstat check --update\n",
    )
    assert run("--update") == 0
    assert "wrote plain, tiny        now commit baselines/models.json" in capsys.readouterr().out
    assert run() == 0
    assert "PASS  2 models, 6 numbers, none grew" in capsys.readouterr().out
    project.widen()
    assert run() == 1
    out = capsys.readouterr().out
    assert "FAIL  tiny    models.py:28" in out
    assert f"+{GROWTH / 1000:.3f} k" in out
    assert "blocks.*.net.0   3 x Linear 16->64  is now 16->96" in out
    assert "blocks.*.net.2   3 x Linear 64->16  is now 96->16" in out
    assert "Edge budget, see docs/edge.md before raising" in out
    assert "Intended?   modelstat check tiny --update      then commit baselines/models.json" in out
    assert run("tiny", "--update") == 0
    capsys.readouterr()
    assert run() == 0


def test_results_go_to_standard_output_and_nothing_else(guarded: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plain", "--format", "json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "PASS"
    (params,) = [check for check in document["checks"] if check["metric"] == "params"]
    assert params["current"] == 16 * 4 + 4


def test_exact_numbers_of_a_failure(guarded: Project, capsys: pytest.CaptureFixture[str]) -> None:
    guarded.widen()
    assert run("tiny", "--format", "json") == 1
    document = json.loads(capsys.readouterr().out)
    (params,) = [check for check in document["checks"] if check["metric"] == "params"]
    assert (params["baseline"], params["current"], params["delta"]) == (PARAMS, PARAMS + GROWTH, GROWTH)
    for metric in ("params", "flops", "madds", "memory"):
        (check,) = [check for check in document["checks"] if check["metric"] == metric]
        assert sum(change["deltas"][metric] for change in document["explain"]) == check["delta"]


def test_every_form_to_files_at_once(guarded: Project, capsys: pytest.CaptureFixture[str]) -> None:
    guarded.widen()
    assert run("--json", "v.json", "--junit", "v.xml", "--markdown", "v.md", "--format", "github") == 1
    assert json.loads((guarded.root / "v.json").read_text())["exit_code"] == 1
    assert ElementTree.parse(guarded.root / "v.xml").getroot().get("failures") == "2"
    assert (guarded.root / "v.md").read_text().startswith("<!-- modelstat:check -->\n### modelstat: 1 of 2 models over")
    assert "::error title=modelstat tiny,file=models.py,line=28::params " in capsys.readouterr().out


def test_github_actions(
    guarded: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    guarded.widen()
    assert run() == 1
    out, err = capsys.readouterr()
    assert "::error title=modelstat tiny,file=project/models.py,line=28::" in err
    assert "::" not in out
    assert summary.read_text().startswith("before\n<!-- modelstat:check -->\n")
    assert run("--no-github") == 1
    assert "::error" not in capsys.readouterr().err
    assert summary.read_text().count("modelstat:check") == 1


def test_a_step_summary_that_cannot_be_written_is_a_notice(
    guarded: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    assert run() == 0
    assert "could not be written" in capsys.readouterr().err


def test_exit_zero(guarded: Project, capsys: pytest.CaptureFixture[str]) -> None:
    guarded.widen()
    assert run("--exit-zero") == 0
    assert "FAIL  tiny" in capsys.readouterr().out
    guarded.edit(
        "models.py", "def plain() -> nn.Module:\n", "def plain() -> nn.Module:\n    raise ValueError('broken')\n"
    )
    assert run("--exit-zero") == 2


def test_a_model_that_fails_costs_itself_only(guarded: Project, capsys: pytest.CaptureFixture[str]) -> None:
    guarded.edit("models.py", "return self.head(x)", "return self.head(x[:, :3])")
    before = guarded.baseline.read_bytes()
    assert run() == 2
    out, err = capsys.readouterr()
    assert "PASS   plain" in out
    assert "ERROR  tiny" in out
    assert "1 of 2 models could not be decided; 1 other was checked: 1 passed" in out
    assert "error: tiny: forward failed in 'head' on input 1x3" in err
    assert "Traceback" not in err
    assert guarded.baseline.read_bytes() == before


def test_stale(guarded: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("tiny", "--input", "2,16") == 2
    err = capsys.readouterr().err
    assert "error: tiny: the baseline was measured on 1x16, this run on 2x16; the numbers are not comparable" in err
    assert "  measure again on purpose:  modelstat check tiny --update" in err


def test_new_gone_and_strict(guarded: Project, capsys: pytest.CaptureFixture[str]) -> None:
    guarded.edit("pyproject.toml", "models.plain]", "models.other]")
    assert run() == 0
    out = capsys.readouterr().out
    assert "NEW   other" in out
    assert "Start guarding it:  modelstat check other --update" in out
    assert "GONE  plain" in out
    assert run("--strict") == 1
    assert run("--update") == 0
    assert "dropped plain" in capsys.readouterr().out
    assert run("--strict") == 0


def test_better_and_ratchet(guarded: Project, capsys: pytest.CaptureFixture[str]) -> None:
    guarded.edit("models.py", "hidden=64", "hidden=32")
    assert run() == 0
    assert "keep the win:  modelstat check tiny --ratchet" in capsys.readouterr().out
    assert run("--strict") == 1
    assert run("tiny", "--ratchet") == 0
    assert run("--strict") == 0


def test_update_is_refused_in_ci(
    guarded: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    guarded.widen()
    before = guarded.baseline.read_bytes()
    for flag in ("--update", "--ratchet"):
        assert run(flag) == 2
        assert f"{flag} is refused in CI" in capsys.readouterr().err
    assert guarded.baseline.read_bytes() == before
    assert run("--update", "--yes") == 0
    assert guarded.baseline.read_bytes() != before


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b'{"schema": 1, "mod', "not valid JSON"),
        (b"\x80\x81\xff", "is no text"),
        (b'{"schema": 7, "models": {}}', "newer"),
        (b"<<<<<<< HEAD\n", "merge conflict"),
    ],
)
@pytest.mark.parametrize("flags", [(), ("--update",), ("--ratchet",)])
def test_an_unusable_baseline(
    guarded: Project, capsys: pytest.CaptureFixture[str], content: bytes, words: str, flags: tuple[str, ...]
) -> None:
    guarded.baseline.write_bytes(content)
    assert run(*flags) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert "modelstat check --update" in err or "pip install --upgrade" in err
    assert guarded.baseline.read_bytes() == content
    assert os.listdir(guarded.baseline.parent) == ["models.json"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--limit", "flops"), "names no metric"),
        (("--limit", "speed=1"), "the unknown metric 'speed'"),
        (("--limit", "flops=5%"), 'write "+5%"'),
        (("--top", "0"), "--top"),
        (("--jobs", "0"), "--jobs"),
        (("--timeout", "-1"), "--timeout"),
        (("--format", "yaml"), "yaml"),
        (("tny",), "did you mean 'tiny'?"),
        (("-q", "-v"), "contradict each other"),
        (("--update", "--against", "main"), "cannot be combined"),
        (("--against", "main"), "in no git repository"),
        (("--config", "none.toml"), "cannot read"),
        (("--strct",), "--strict"),
        (("--baseline", "."), "cannot read the baseline"),
    ],
)
def test_misuse(project: Project, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    assert run(*words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "error: " in err
    assert "Traceback" not in err


def test_limits_of_the_command_line(guarded: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("tiny", "--limit", f"params={PARAMS}") == 0
    assert run("tiny", "--limit", f"params={PARAMS - 1}") == 1
    guarded.widen()
    assert run("tiny", "--limit", "params=off", "--limit", "flops=+1 G") == 0
    assert run("tiny", "--limit", f"params=+{GROWTH}", "--limit", "flops=off") == 0
    assert run("tiny", "--limit", f"params=+{GROWTH - 1}", "--limit", "flops=off") == 1


def test_a_spec_that_nobody_configured(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models.py:plain", "--input", "1,16", "--limit", "params=68") == 0
    assert "NEW  models.py:plain   params 68" in capsys.readouterr().out
    assert run("models.py:plain", "--input", "1,16", "--limit", "params=67") == 1


def test_show_config_measures_nothing(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    (project.root / "models.py").unlink()
    assert run("--show-config", "--limit", "madds=2 G") == 0
    out = capsys.readouterr().out
    assert "limit memory   1 MiB" in out
    assert "--limit" in out


def test_peak_and_attention_backend(guarded: Project, capsys: pytest.CaptureFixture[str]) -> None:
    # In the ReLU of the second block: all weights, the model's input, the block's, and 64 hidden units twice.
    peak = 4 * (PARAMS + 16 + 16 + 64 + 64)
    assert run("tiny", "--limit", f"peak={peak}") == 0
    assert run("tiny", "--limit", f"peak={peak - 1}") == 1
    guarded.edit("pyproject.toml", 'spec = "models.py:tiny"', 'spec = "models.py:tiny"\nattention = "math"')
    capsys.readouterr()
    assert run("tiny") == 2
    assert "measured with attention auto, this run with math" in capsys.readouterr().err


def test_from_a_folder_below(
    guarded: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    below = guarded.root / "docs"
    below.mkdir()
    monkeypatch.chdir(below)
    assert run() == 0
    assert Path.cwd() == below


@pytest.mark.parametrize("place", ["find_config", "find_references", "decide", "publish", "progress"])
@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), KeyboardInterrupt(), MemoryError(), SystemError("x")])
def test_a_crash_anywhere_is_no_broken_limit(
    guarded: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    place: str,
    error: BaseException,
) -> None:
    def broken(*arguments: Any, **options: Any) -> Any:
        raise error

    monkeypatch.setattr(check, place, broken)
    before = guarded.baseline.read_bytes()
    assert run() == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") or "\nerror: " in err
    assert "Traceback" not in err
    assert guarded.baseline.read_bytes() == before


def test_an_interrupt_is_no_broken_limit(
    guarded: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(checking, "measure_entries", interrupted)
    before = guarded.baseline.read_bytes()
    assert run("--update") == 2
    assert "error: interrupted" in capsys.readouterr().err
    assert guarded.baseline.read_bytes() == before


def test_help_says_that_equal_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    assert "Equal passes, greater fails." in capsys.readouterr().out
