"""Results alone go to standard output, by whichever way a model's code prints; and streams may be closed or full."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import torchstat_cli as ms
from tests.cli.running import refused, run
from torchstat_cli.cli.main import main

ROOT = Path(__file__).parents[2]

LOUD = """
import atexit, ctypes, os, subprocess, sys, threading, time
import torch
from torch import nn


def shout(where):
    print("print", where)
    os.system(f"echo system {where}")
    subprocess.run(["echo", "subprocess", where])
    os.write(1, f"descriptor {where}\\n".encode())
    sys.__stdout__.write(f"original {where} without an end")
    ctypes.CDLL(None).printf(f"printf {where}\\n".encode())


def keep_shouting():
    while True:
        print("thread")
        os.write(1, b"thread below\\n")
        time.sleep(0.001)


class Loud(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 2)
        shout("build")

    def forward(self, x):
        shout("forward")
        return self.layer(x)


def example_inputs():
    shout("examples")
    return torch.zeros(1, 8)


def build():
    return Loud()


build.example_inputs = example_inputs
example = lambda: Loud()
example.example_inputs = ["1,8"]


def inputs():
    shout("inputs")
    return torch.zeros(1, 8)


def optimizer(parameters):
    shout("optimizer")
    return torch.optim.SGD(parameters, lr=0.1)


def loss(output):
    shout("loss")
    return output.sum()


def late():
    atexit.register(print, "exit")
    atexit.register(os.write, 1, b"exit below\\n")
    threading.Thread(target=keep_shouting, daemon=True).start()
    subprocess.Popen(["sh", "-c", "sleep 3; echo later"])
    sys.stdout.close()
    return Loud()


late.example_inputs = ["1,8"]


class Forking(Loud):
    def forward(self, x):
        if os.fork() == 0:
            return x
        os.wait()
        return self.layer(x)


forking = lambda: Forking()
forking.example_inputs = ["1,8"]
shout("import")
"""
WAYS = ("print", "system", "subprocess", "descriptor", "original", "printf")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "loud.py").write_text(LOUD)
    return tmp_path


def shell(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run a line of the shell, in which ``modelstat`` is this package."""
    script = f'modelstat() {{ "{sys.executable}" -m torchstat_cli "$@"; }}\n{text}'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize(
    ("words", "places"),
    [
        ("loud.py:build", ("import", "build", "examples", "forward")),
        ("loud.py:Loud --inputs loud.py:inputs --time", ("inputs", "forward")),
        ("loud.py:build --train --optimizer loud.py:optimizer --loss loud.py:loss", ("optimizer", "loss")),
        ("nodes loud.py:build", ("build", "examples", "forward")),
        ("nodes loud.py:build --engine runtime", ("build", "examples", "forward")),
        ("fit loud.py:example --budget 1MiB", ("build", "forward")),
        ("compare loud.py:build loud.py:example", ("build", "examples", "forward")),
        ("check loud.py:build --limit params=1M", ("build", "examples", "forward")),
    ],
)
def test_standard_output_holds_the_result_alone(folder: Path, words: str, places: tuple[str, ...]) -> None:
    done = shell(folder, f"modelstat {words} --format json")
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)
    assert [(way, place) for way in WAYS for place in places if f"{way} {place}" not in done.stderr] == []


def test_what_outlives_the_run_stays_away_too(folder: Path) -> None:
    done = shell(folder, "modelstat loud.py:late --format json")
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)
    for word in ("thread\n", "thread below\n", "exit\n", "exit below\n", "later\n"):
        assert word in done.stderr


def test_only_one_of_two_forked_processes_speaks(folder: Path) -> None:
    done = shell(folder, "modelstat loud.py:forking --format json --device cpu")
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)


def test_what_the_model_prints_stands_before_the_result(folder: Path) -> None:
    done = shell(folder, "modelstat loud.py:build --format csv 2>&1")
    last = done.stdout.index("path,")
    assert all(done.stdout.rindex(f"{way} forward") < last for way in WAYS)


# Streams that are closed or full

POLITE = """
from torch import nn


def build():
    print("building")
    return nn.Linear(8, 2)


build.example_inputs = ["1,8"]
"""


@pytest.fixture
def polite(tmp_path: Path) -> Path:
    (tmp_path / "polite.py").write_text(POLITE)
    return tmp_path


@pytest.mark.parametrize("command", ["polite.py:build", "nodes polite.py:build", "ops", "--help", "check --help"])
def test_full_standard_output_is_one_sentence(polite: Path, command: str) -> None:
    done = shell(polite, f"modelstat {command} --quiet >/dev/full")
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert errors == ["error: cannot write to standard output: no space left on device"]


@pytest.mark.parametrize("streams", [">&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_closed_or_full_streams_change_no_verdict(polite: Path, streams: str) -> None:
    lines = (
        f"modelstat check polite.py:build --limit params=1M --limit flops=1G --json out.json {streams}; echo $?",
        f"modelstat check polite.py:build --limit params=1 --limit flops=1G {streams}; echo $?",
        f"modelstat polite.py:build --output out.csv {streams}; echo $?",
        f"modelstat nope:x {streams}; echo $?",
    )
    done = shell(polite, "\n".join(lines))
    assert [line for line in done.stdout.splitlines() if line.isdigit()] == ["0", "1", "0", "2"], done.stderr
    assert json.loads((polite / "out.json").read_text())["verdict"] == "PASS"
    assert "building" not in (polite / "out.csv").read_text()


@pytest.mark.parametrize("option", ["--output", "--format csv --output"])
@pytest.mark.parametrize("redirection", [">", ">>"])
def test_output_named_as_standard_output_stays_in_order(polite: Path, option: str, redirection: str) -> None:
    (polite / "log").write_text("OLD\n")
    shell(polite, f"{{ echo BEFORE; modelstat polite.py:build {option} /dev/stdout; echo AFTER; }} {redirection} log")
    lines = (polite / "log").read_text().splitlines()
    assert [line for line in lines if line.isupper()] == ["OLD", "BEFORE", "AFTER"][redirection == ">" :]
    assert lines[-1] == "AFTER"
    assert sum("Linear" in line for line in lines) >= 1


def test_outputs_of_check_may_be_descriptors(polite: Path) -> None:
    done = shell(
        polite,
        "GITHUB_ACTIONS=true GITHUB_STEP_SUMMARY=/dev/stdout modelstat check polite.py:build --limit params=1M "
        "--limit flops=1G --format json --markdown /dev/stderr --junit /dev/fd/3 3>junit.xml",
    )
    assert done.returncode == 0, done.stderr
    document, _, summary = done.stdout.rpartition("<!-- modelstat:check -->")
    assert json.loads(document)["verdict"] == "PASS"
    assert "### modelstat" in summary
    assert "### modelstat" in done.stderr
    assert (polite / "junit.xml").read_text().startswith("<?xml")


@pytest.mark.parametrize("instruction", ["foo", "foo_source", "bash_foo", "bash_complete"])
def test_completion_that_there_is_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, instruction: str
) -> None:
    monkeypatch.setenv("_MODELSTAT_COMPLETE", instruction)
    error = refused(capsys, "polite.py:build")
    assert f"_MODELSTAT_COMPLETE={instruction} asks for no completion that there is" in error


def test_empty_completion_is_none(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_MODELSTAT_COMPLETE", "")
    assert run(capsys, "--version").code == 0


# A call from Python


@pytest.fixture
def model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.chdir(folder)
    yield "loud.py:build"
    sys.__stdout__.flush()  # type: ignore[union-attr]


@pytest.mark.parametrize("words", [("loud.py:build",), ("nope:x",), ("--help",)])
def test_call_from_python_gives_everything_back(
    model: str, capfd: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    before = sys.stdout, sys.stderr, os.fstat(1), os.fstat(2), sorted(os.listdir("/proc/self/fd"))
    main(list(words))
    assert (sys.stdout, sys.stderr, os.fstat(1)[:2], os.fstat(2)[:2]) == (*before[:2], before[2][:2], before[3][:2])
    assert sorted(os.listdir("/proc/self/fd")) == before[4]
    os.write(1, b"still here")
    assert capfd.readouterr().out.endswith("still here")


def test_python_api_leaves_descriptors_alone(model: str, capfd: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("a descriptor was touched")

    with monkeypatch.context() as patch:
        patch.setattr(os, "dup", refuse)
        patch.setattr(os, "dup2", refuse)
        ms.profile(model)
    assert "descriptor forward" in capfd.readouterr().out
