"""What ``modelstat check`` refuses, and what stops it: exit code 2, one sentence, and the baseline as it was."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.cli.running import run_check
from tests.gate.project import Project
from torchstat_cli.cli import check


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
    assert run_check(*flags) == 2
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
    assert run_check(*words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "error: " in err
    assert "Traceback" not in err


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
    assert run_check() == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ") or "\nerror: " in err
    assert "Traceback" not in err
    assert guarded.baseline.read_bytes() == before


def test_an_interrupt_is_no_broken_limit(
    guarded: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("torchstat_cli.tasks.check.measure_entries", interrupted)
    before = guarded.baseline.read_bytes()
    assert run_check("--update") == 2
    assert "error: interrupted" in capsys.readouterr().err
    assert guarded.baseline.read_bytes() == before
