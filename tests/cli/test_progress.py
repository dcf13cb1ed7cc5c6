from __future__ import annotations

import io
import sys
import time

import pytest

from torchstat_cli.cli.progress import progress, running


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, names: list[str]) -> str:
    """What the bar writes on ``stream`` while everything gets done."""
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with progress("checking", names) as done:
        for name in names:
            done(name)
    return stream.getvalue()


def test_a_name_moves_no_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    assert r"last b\x1b[2J" in shown(monkeypatch, Terminal(), ["a", "b\x1b[2J\n"])


def test_a_terminal_sees_the_last_model(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "checking, last b" in shown(monkeypatch, Terminal(), ["a", "b"])


@pytest.mark.parametrize(("stream", "names"), [(io.StringIO(), ["a", "b"]), (Terminal(), ["a"])])
def test_nobody_else_does(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, names: list[str]) -> None:
    assert shown(monkeypatch, stream, names) == ""


MARKUP = ["a[/b]", "[red]a", "[/]", ":heart:", "a\\", "{task.completed}", "a\x1b]0;title\x07"]


@pytest.mark.parametrize("name", MARKUP)
def test_names_are_no_markup(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    written = name.replace("\x1b", "\\x1b").replace("\x07", "\\x07")
    assert f"checking, last {written}" in shown(monkeypatch, Terminal(), ["first", name])


@pytest.mark.parametrize("name", MARKUP)
def test_names_of_running_modules_are_no_markup(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    with running("listing nodes") as step:
        step(name)
        time.sleep(0.2)  # the line is drawn twelve times a second
    assert "\x1b]0;" not in stream.getvalue()
    assert name.replace("\x1b", "\\x1b").replace("\x07", "\\x07") in stream.getvalue()
