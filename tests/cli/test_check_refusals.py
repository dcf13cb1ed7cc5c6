"""What ``modelstat check`` refuses, and what stops it: exit code 2, one sentence, and the baseline as it was."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.cli.running import run_check
from tests.gate.project import PARAMS, Project
from torchstat_cli.cli import check


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b'{"schema": 1, "mod', "not valid JSON"),
        (b"\x80\x81\xff", "is no text"),
        (b'{"schema": 7, "models": {}}', "newer"),
        (b"<<<<<<< HEAD\n", "merge conflict"),
        (b'{"schema": 1, "models": {"a": ' + b"1" * 5000 + b"}}", "a number of 5000 digits"),
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
    assert "modelstat check --update" in err or "install the newer modelstat" in err
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
        (("--timeout", "nan"), "nan is no number of seconds"),
        (("--timeout", "1e18"), "--timeout"),
        (("--timeout", "inf"), "--timeout"),
        (
            ("--limit", f"flops={'1' * 5000}"),
            "'11111111111111111111111111111111111111111111111111111111... is not a limit",
        ),
        (("--limit", "flops=1e999999999"), "'1e999999999' is not a limit"),
        (("x" * 100_000,), "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx... is neither"),
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


@pytest.mark.parametrize("number", [2**63, 10**20, 10**400])
@pytest.mark.parametrize("flags", [(), ("--update",), ("--ratchet",)])
def test_a_number_that_no_model_reaches(
    guarded: Project, capsys: pytest.CaptureFixture[str], number: int, flags: tuple[str, ...]
) -> None:
    guarded.edit("baselines/models.json", f'"params": {PARAMS}', f'"params": {number}')
    before = guarded.baseline.read_bytes()
    assert run_check(*flags) == 2
    err = capsys.readouterr().err
    assert f"holds an entry for 'tiny' that makes no sense (TypeError: {str(number)[:57]}" in err
    assert "is no whole number from 0 to 2^63 - 1" in err
    assert max(map(len, err.splitlines())) < 300
    assert guarded.baseline.read_bytes() == before


@pytest.mark.parametrize("flag", ["--update", "--ratchet"])
def test_what_cannot_be_shown_is_not_written(
    guarded: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, flag: str
) -> None:
    def broken(*arguments: Any) -> Any:
        raise OverflowError("too large")

    before = guarded.baseline.read_bytes()
    guarded.edit("models.py", "hidden=64", "hidden=32")
    monkeypatch.setattr(check, "prepare", broken)
    assert run_check(flag) == 2
    assert guarded.baseline.read_bytes() == before
    assert os.listdir(guarded.baseline.parent) == ["models.json"]


HOSTILE = {
    "a = " + "[" * 3000: "is nested too deeply to be read",
    "a = " + "1" * 5000: "holds a number of too many digits",
    'baseline = "a\\u0000b"': "baseline must be a string that is not empty and holds no NUL, not 'a\\x00b'",
    '[models.x]\nspec = "a:b"\ninput = ["1,8", "1\\u0000"]': "input must be a string or a list of strings, without NUL",
    "timeout = 1e300": "timeout must be a number above 0, at most 1000000000, not 1e+300",
    "timeout = nan": "timeout must be a number above 0, at most 1000000000, not nan",
    "jobs = 0x"
    + "1" * 5000: "jobs must be a whole number above 0, at most 1000000000, not a number of too many digits",
    "limits = {flops = 0x" + "1" * 5000 + "}": "a number of too many digits is not a limit for flops",
    'limits = {flops = "+' + "1" * 5000 + '%"}': "... is not a limit for flops",
    "limits = {flops = " + "[" * 90 + "]" * 90 + "}": "is not a limit for flops",
    '[models."\\u001b[2J\\n::error::x"]': "[models.\\x1b[2J\\n::error::x] has no spec",
    f'models = "{"x" * 100_000}"': "models must be a table, not 'xxxx",
    f'"{"x" * 100_000}" = 1': "has the unknown key 'xxxx",
    f'[models."{"x" * 100_000}"]': "xxx...] has no spec",
}


@pytest.mark.parametrize(("text", "words"), HOSTILE.items(), ids=[text[:20] for text in HOSTILE])
def test_hostile_configuration(project: Project, capsys: pytest.CaptureFixture[str], text: str, words: str) -> None:
    (project.root / "modelstat.toml").write_text(text)
    assert run_check() == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert "this is a bug" not in err
    assert err.replace("\n", "").isprintable()
    assert max(map(len, err.splitlines())) < 300


@pytest.mark.parametrize("place", ["find_config", "find_references", "decide", "prepare", "publish", "progress"])
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
