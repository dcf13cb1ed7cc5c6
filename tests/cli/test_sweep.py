from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.running import refused, run


def test_several_models_are_a_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run(capsys, "sample_models/mlp", "sample_models/vit_tiny", "--format", "json", "--jobs", "1")
    models = json.loads(outcome.out)["models"]
    assert outcome.code == 0
    assert [(model["model"], model["params"]) for model in models] == [
        ("sample_models/mlp", 784 * 256 + 256 + 256 * 256 + 256 + 256 * 10 + 10),
        ("sample_models/vit_tiny", 5_717_416),  # as timm and the paper's code have it
    ]


def test_nothing_measured_is_undecided(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run(capsys, "sweep", "nosuch_module:x", "--jobs", "1")
    assert outcome.code == 2
    assert "failed:" in outcome.out


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--from", "/nowhere/models.txt"),
        ("nowhere/*",),
        ("sample_models/zzz*",),
        ("mlp", "--vary", "batch=0"),
        ("mlp", "--vary", "depth=3"),
        ("mlp", "--jobs", "0"),
        ("mlp", "--timeout", "0"),
        ("mlp", "--memory-limit", "much"),
        ("mlp", "--sort", "speed"),
        ("mlp", "--dtype", "float33"),
        ("mlp", "--input", "axb"),
        ("mlp", "--arg", "novalue"),
        ("mlp", "--output", "/nowhere/out.csv"),
    ],
)
def test_bad_input_is_refused_before_anything_is_measured(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    refused(capsys, "sweep", *words)


def test_a_killed_sweep_goes_on_and_ends_in_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import time\nfrom torch import nn\ndef build(size=4):\n    time.sleep(0.3)\n    return nn.Linear(4, size)\n"
    )
    sizes = ",".join(map(str, range(2, 10)))
    words = [sys.executable, "-m", "torchstat_cli", "sweep", "slow.py:build", "--input", "1,4", "--jobs", "1"]
    words += ["--vary", f"arg.size={sizes}", "--format", "csv", "--output"]
    subprocess.run([*words, "whole.csv"], cwd=tmp_path, check=True, capture_output=True)
    process = subprocess.Popen([*words, "out.csv"], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    partial = tmp_path / "out.csv.partial"
    while not (partial.exists() and len(partial.read_text().splitlines()) > 2):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "out.csv").exists()
    done = subprocess.run([*words, "out.csv"], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "rows are done already" in done.stderr
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not partial.exists()
