"""Run the command line in this process, as fast as a function call."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from typing import Any

import pytest

from torchstat_cli.cli.main import main
from torchstat_cli.errors import ModelstatError
from torchstat_cli.gate.config import ModelEntry
from torchstat_cli.tasks import check

MLP = "sample_models.mlp:mlp"
"""A model with example inputs, whose spec asks no model library: nothing to notice on standard error."""


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


def run(capsys: pytest.CaptureFixture[str], *words: str) -> Outcome:
    """The outcome of ``modelstat WORDS``."""
    capsys.readouterr()
    code = main(list(words))
    return Outcome(code, *capsys.readouterr())


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """The error of a command that must end with one sentence, a remedy, exit code 2 and an empty standard output."""
    outcome = run(capsys, *words)
    lines = outcome.err.splitlines()
    assert (outcome.code, outcome.out) == (2, "")
    assert lines[0].startswith("error: ")
    assert len(lines) >= 2, "no remedy"
    assert all(line.startswith("  ") for line in lines[1:])
    assert "Traceback" not in outcome.err
    return outcome.err


def run_check(*words: str) -> int:
    """The exit code of ``modelstat check``."""
    return main(["check", *words])


def measured_here(entries: Sequence[ModelEntry], **options: Any) -> dict[str, Any]:
    """``measure_entries`` without worker processes."""
    outcomes: dict[str, Any] = {}
    for entry in entries:
        try:
            outcomes[entry.name] = check.measure_entry(entry)
        except ModelstatError as error:
            outcomes[entry.name] = error
    return outcomes


class TerminalStream(TextIOWrapper):
    """Standard output of a terminal; remembers what it showed."""

    def __init__(self) -> None:
        super().__init__(BytesIO(), encoding="utf-8", write_through=True)

    def isatty(self) -> bool:
        return True

    @property
    def shown(self) -> str:
        """All that was written."""
        written: bytes = self.buffer.getvalue()  # type: ignore[attr-defined]
        return written.decode()


def in_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> TerminalStream:
    """Make standard output a terminal of 40 cells with colors; pytest forbids to do so before the test itself runs."""
    stream = TerminalStream()
    monkeypatch.setattr(sys, "stdout", stream)
    for name, value in {"COLUMNS": "40", "TERM": "xterm", "NO_COLOR": ""}.items():
        monkeypatch.setenv(name, value)
    return stream
