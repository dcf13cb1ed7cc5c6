"""``modelstat check`` in a scratch project; the models are measured in this process, as workers cost seconds."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.running import run_check
from tests.gate.project import GROWTH, PARAMS, Project


def test_the_whole_life_of_a_baseline(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_check() == 2
    assert capsys.readouterr() == (
        "",
        "error: no baseline at baselines/models.json and no ceiling is configured, so nothing can be checked\n"
        "  make one and commit it:  modelstat check --update\n",
    )
    assert run_check("--update") == 0
    assert "wrote plain, tiny        now commit baselines/models.json" in capsys.readouterr().out
    assert run_check() == 0
    assert "PASS  2 models, 6 numbers, none grew" in capsys.readouterr().out
    project.widen()
    assert run_check() == 1
    out = capsys.readouterr().out
    assert "FAIL  tiny    models.py:28" in out
    assert f"+{GROWTH / 1000:.3f} k" in out
    assert "blocks.*.net.0   3 x Linear 16->64  is now 16->96" in out
    assert "blocks.*.net.2   3 x Linear 64->16  is now 96->16" in out
    assert "Edge budget, see docs/edge.md before raising" in out
    assert "Intended?   modelstat check tiny --update      then commit baselines/models.json" in out
    assert run_check("tiny", "--update") == 0
    capsys.readouterr()
    assert run_check() == 0


def test_results_go_to_standard_output_and_nothing_else(guarded: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_check("plain", "--format", "json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["verdict"] == "PASS"
    (params,) = [check for check in document["checks"] if check["metric"] == "params"]
    assert params["current"] == 16 * 4 + 4


def test_exact_numbers_of_a_failure(guarded: Project, capsys: pytest.CaptureFixture[str]) -> None:
    guarded.widen()
    assert run_check("tiny", "--format", "json") == 1
    document = json.loads(capsys.readouterr().out)
    (params,) = [check for check in document["checks"] if check["metric"] == "params"]
    assert (params["baseline"], params["current"], params["delta"]) == (PARAMS, PARAMS + GROWTH, GROWTH)
    for metric in ("params", "flops", "madds", "memory"):
        (check,) = [check for check in document["checks"] if check["metric"] == metric]
        assert sum(change["deltas"][metric] for change in document["explain"]) == check["delta"]


def test_every_form_to_files_at_once(guarded: Project, capsys: pytest.CaptureFixture[str]) -> None:
    guarded.widen()
    assert run_check("--json", "v.json", "--junit", "v.xml", "--markdown", "v.md", "--format", "github") == 1
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
    assert run_check() == 1
    out, err = capsys.readouterr()
    assert "::error title=modelstat tiny,file=project/models.py,line=28::" in err
    assert "::" not in out
    assert summary.read_text().startswith("before\n<!-- modelstat:check -->\n")
    assert run_check("--no-github") == 1
    assert "::error" not in capsys.readouterr().err
    assert summary.read_text().count("modelstat:check") == 1


def test_a_step_summary_that_cannot_be_written_is_a_notice(
    guarded: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path))
    assert run_check() == 0
    assert "could not be written" in capsys.readouterr().err


def test_exit_zero(guarded: Project, capsys: pytest.CaptureFixture[str]) -> None:
    guarded.widen()
    assert run_check("--exit-zero") == 0
    assert "FAIL  tiny" in capsys.readouterr().out
    guarded.edit(
        "models.py", "def plain() -> nn.Module:\n", "def plain() -> nn.Module:\n    raise ValueError('broken')\n"
    )
    assert run_check("--exit-zero") == 2


def test_a_model_that_fails_costs_itself_only(guarded: Project, capsys: pytest.CaptureFixture[str]) -> None:
    guarded.edit("models.py", "return self.head(x)", "return self.head(x[:, :3])")
    before = guarded.baseline.read_bytes()
    assert run_check() == 2
    out, err = capsys.readouterr()
    assert "PASS   plain" in out
    assert "ERROR  tiny" in out
    assert "1 of 2 models could not be decided; 1 other was checked: 1 passed" in out
    assert "error: tiny: forward failed in 'head' on input 1x3" in err
    assert "Traceback" not in err
    assert guarded.baseline.read_bytes() == before


def test_stale(guarded: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_check("tiny", "--input", "2,16") == 2
    err = capsys.readouterr().err
    assert "error: tiny: the baseline was measured on 1x16, this run on 2x16; the numbers are not comparable" in err
    assert "  measure again on purpose:  modelstat check tiny --update" in err


def test_new_gone_and_strict(guarded: Project, capsys: pytest.CaptureFixture[str]) -> None:
    guarded.edit("pyproject.toml", "models.plain]", "models.other]")
    assert run_check() == 0
    out = capsys.readouterr().out
    assert "NEW   other" in out
    assert "Start guarding it:  modelstat check other --update" in out
    assert "GONE  plain" in out
    assert run_check("--strict") == 1
    assert run_check("--update") == 0
    assert "dropped plain" in capsys.readouterr().out
    assert run_check("--strict") == 0


def test_better_and_ratchet(guarded: Project, capsys: pytest.CaptureFixture[str]) -> None:
    guarded.edit("models.py", "hidden=64", "hidden=32")
    assert run_check() == 0
    assert "keep the win:  modelstat check tiny --ratchet" in capsys.readouterr().out
    assert run_check("--strict") == 1
    assert run_check("tiny", "--ratchet") == 0
    assert run_check("--strict") == 0


def test_update_is_refused_in_ci(
    guarded: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    guarded.widen()
    before = guarded.baseline.read_bytes()
    for flag in ("--update", "--ratchet"):
        assert run_check(flag) == 2
        assert f"{flag} is refused in CI" in capsys.readouterr().err
    assert guarded.baseline.read_bytes() == before
    assert run_check("--update", "--yes") == 0
    assert guarded.baseline.read_bytes() != before


def test_limits_of_the_command_line(guarded: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_check("tiny", "--limit", f"params={PARAMS}") == 0
    assert run_check("tiny", "--limit", f"params={PARAMS - 1}") == 1
    guarded.widen()
    assert run_check("tiny", "--limit", "params=off", "--limit", "flops=+1 G") == 0
    assert run_check("tiny", "--limit", f"params=+{GROWTH}", "--limit", "flops=off") == 0
    assert run_check("tiny", "--limit", f"params=+{GROWTH - 1}", "--limit", "flops=off") == 1


def test_a_spec_that_nobody_configured(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_check("models.py:plain", "--input", "1,16", "--limit", "params=68") == 0
    assert "NEW  models.py:plain   params 68" in capsys.readouterr().out
    assert run_check("models.py:plain", "--input", "1,16", "--limit", "params=67") == 1


def test_show_config_measures_nothing(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    (project.root / "models.py").unlink()
    assert run_check("--show-config", "--limit", "madds=2 G") == 0
    out = capsys.readouterr().out
    assert "limit memory   1 MiB" in out
    assert "--limit" in out


def test_peak_and_attention_backend(guarded: Project, capsys: pytest.CaptureFixture[str]) -> None:
    # In the ReLU of the second block: all weights, the model's input, the block's, and 64 hidden units twice.
    peak = 4 * (PARAMS + 16 + 16 + 64 + 64)
    assert run_check("tiny", "--limit", f"peak={peak}") == 0
    assert run_check("tiny", "--limit", f"peak={peak - 1}") == 1
    guarded.edit("pyproject.toml", 'spec = "models.py:tiny"', 'spec = "models.py:tiny"\nattention = "math"')
    capsys.readouterr()
    assert run_check("tiny") == 2
    assert "measured with attention auto, this run with math" in capsys.readouterr().err


def test_from_a_folder_below(
    guarded: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    below = guarded.root / "docs"
    below.mkdir()
    monkeypatch.chdir(below)
    assert run_check() == 0
    assert Path.cwd() == below


def test_help_says_that_equal_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_check("--help") == 0
    assert "Equal passes, greater fails." in capsys.readouterr().out
