from __future__ import annotations

import io
import sys

import pytest

from torchstat_cli.cli.progress import progress


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


def test_a_terminal_sees_the_last_model(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "checking, last b" in shown(monkeypatch, Terminal(), ["a", "b"])


@pytest.mark.parametrize(("stream", "names"), [(io.StringIO(), ["a", "b"]), (Terminal(), ["a"])])
def test_nobody_else_does(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, names: list[str]) -> None:
    assert shown(monkeypatch, stream, names) == ""
