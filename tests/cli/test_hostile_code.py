"""Models whose code raises what no code should: every command says one clean sentence and ends with 2."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.running import Outcome, measured_here, run
from torchstat_cli.tasks import check

MOST_BYTES = 4_000
"""Of standard error: a person reads it in the log of a CI job."""

PRELUDE = """
import torch
from torch import nn


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Wrong(Exception):
    def __str__(self):
        return 5


WORDS = {
    "mute": Mute(),
    "wrong": Wrong(),
    "escapes": ValueError("\\x1b]0;title\\x07\\x1b[2J"),
    "command": ValueError("one\\n::error::two"),
    "turned": ValueError("a\\u202eb"),
    "long": ValueError("x" * 1_000_000),
    "lines": ValueError("x\\n" * 100_000),
}


def fail(word):
    raise WORDS[word]


class Net(nn.Module):
    def __init__(self, word=""):
        super().__init__()
        self.layer = nn.Linear(8, 2)
        self.word = word

    def forward(self, x):
        return fail(self.word) if self.word else self.layer(x)


class Timed(Net):
    def forward(self, x):
        return self.layer(x) if x.is_meta else fail(WORD)


def example(word):
    def build():
        return Net()
    build.example_inputs = lambda: fail(word)
    return build


def optimizer(parameters):
    fail(WORD)


def loss(output):
    fail(WORD)


def inputs():
    fail(WORD)


def build():
    fail(WORD)


def forward():
    return Net(WORD)


forward.example_inputs = ["1,8"]
timed = lambda: Timed()
timed.example_inputs = ["1,8"]
good = Net
good.example_inputs = ["1,8"]
asking = example(WORD) if WORD else None
"""
WORDS = ("mute", "wrong", "escapes", "command", "turned", "long", "lines")
PLACES = {
    "build": ("hostile.py:build",),
    "forward": ("hostile.py:forward",),
    "the step": ("hostile.py:forward", "--train"),
    "the search": ("fit", "hostile.py:forward", "--budget", "1GiB"),
    "the nodes": ("nodes", "hostile.py:forward"),
    "the nodes of a run": ("nodes", "hostile.py:forward", "--engine", "runtime"),
    "the examples": ("hostile.py:asking",),
    "the inputs": ("hostile.py:good", "--inputs", "hostile.py:inputs"),
    "the optimizer": ("hostile.py:good", "--train", "--optimizer", "hostile.py:optimizer"),
    "the loss": ("hostile.py:good", "--train", "--loss", "hostile.py:loss"),
    "the timing": ("hostile.py:timed", "--time"),
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write_hostile(word: str) -> None:
    Path("hostile.py").write_text(f"WORD = {word!r}\n{PRELUDE}")


def assert_one_clean_sentence(outcome: Outcome) -> None:
    assert (outcome.code, outcome.out) == (2, "")
    lines = outcome.err.splitlines()
    errors = [line for line in lines if line.startswith("error: ")]
    assert len(errors) == 1, outcome.err[:MOST_BYTES]
    assert "bug in modelstat" not in outcome.err
    assert "Traceback" not in outcome.err
    assert all(line.isprintable() for line in lines)
    assert not [line for line in lines if line.lstrip().startswith("::")]
    assert len(outcome.err) < MOST_BYTES


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("word", WORDS)
def test_message_of_any_kind_is_one_clean_sentence(capsys: pytest.CaptureFixture[str], word: str, place: str) -> None:
    write_hostile(word)
    outcome = run(capsys, *PLACES[place])
    assert_one_clean_sentence(outcome)


@pytest.mark.parametrize("word", WORDS)
def test_row_of_the_gate_is_clean_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    write_hostile(word)
    monkeypatch.setattr(check, "measure_entries", measured_here)
    outcome = run(capsys, "check", "hostile.py:forward", "--limit", "params=1G")
    assert outcome.code == 2
    assert "could not be measured" in outcome.out
    assert_one_clean_sentence(replace(outcome, out=""))
    for form in ("markdown", "github"):
        outcome = run(capsys, "check", "hostile.py:forward", "--limit", "params=1G", "--format", form)
        assert all(line.isprintable() for line in outcome.out.splitlines())
        assert len(outcome.out) < MOST_BYTES
