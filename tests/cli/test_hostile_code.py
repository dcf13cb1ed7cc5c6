"""Models whose code raises what no code should: every command says one clean sentence and ends with 2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.cli.running import Outcome, measured_here, run
from torchstat_cli.calculators import user_registry
from torchstat_cli.tasks import check

MOST_BYTES = 4_000
"""Of standard error: a person reads it in the log of a CI job."""

PRELUDE = """
import asyncio

import torch
from torch import nn


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Wrong(Exception):
    def __str__(self):
        return 5


class Own(BaseException):
    pass


class MuteOwn(BaseException):
    def __str__(self):
        raise Own("no words")


class Odd:
    def __repr__(self):
        raise Own("no words")


WORDS = {
    "cancelled": asyncio.CancelledError("later"),
    "generator": GeneratorExit(),
    "interrupt": KeyboardInterrupt(),
    "own": Own("\\x1b[2Jown"),
    "mute own": MuteOwn(),
    "exit": SystemExit(),
    "exit 0": SystemExit(0),
    "exit 1": SystemExit(1),
    "exit text": SystemExit("a\\n::error::b"),
    "exit odd": SystemExit(Odd()),
    "exit long": SystemExit("x" * 1_000_000),
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
ENDS = ("cancelled", "generator", "interrupt", "own", "mute own")
EXITS = ("exit", "exit 0", "exit 1", "exit text", "exit odd", "exit long")
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
    assert "importing" not in outcome.err, "the file of the test is broken"
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


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("word", [*ENDS, *EXITS])
def test_end_of_any_kind_is_one_clean_sentence(capsys: pytest.CaptureFixture[str], word: str, place: str) -> None:
    """The exit code 1 says that a limit is broken, whatever code the model's own end asks for."""
    write_hostile(word)
    outcome = run(capsys, *PLACES[place])
    assert_one_clean_sentence(outcome)


def test_what_is_said_of_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    for word, said in (
        ("cancelled", "error: the model raised CancelledError: later\n  see the whole traceback with --debug\n"),
        ("own", "error: the model raised Own: \\x1b[2Jown\n  see the whole traceback with --debug\n"),
        ("exit 1", "error: the model ended the program: sys.exit(1)\n  take that call out\n"),
        ("interrupt", "error: interrupted\n"),
    ):
        write_hostile(word)
        assert run(capsys, "hostile.py:forward").err == said


@pytest.fixture
def own_operator() -> Iterator[None]:
    """An operator, and a place for its formula, that are forgotten afterwards."""
    entries = user_registry()._entries
    before = dict(entries)
    with torch.library._scoped_library("hostile", "DEF") as library:
        library.define("same(Tensor x) -> Tensor")
        library.impl("same", lambda x: x * 1, "CompositeExplicitAutograd")
        yield
    entries.clear()
    entries.update(before)


@pytest.mark.usefixtures("own_operator")
@pytest.mark.parametrize("word", [*WORDS, *ENDS, *EXITS])
def test_formula_that_raises(capsys: pytest.CaptureFixture[str], word: str) -> None:
    write_hostile(word)
    with Path("hostile.py").open("a") as file:
        file.write(
            "import torchstat_cli\n\n\n"
            "class Counted(Net):\n    def forward(self, x):\n        return torch.ops.hostile.same(x)\n\n\n"
            "torchstat_cli.formula('hostile::same')(lambda op: fail(WORD))\n"
        )
    assert_one_clean_sentence(run(capsys, "hostile.py:Counted", "--input", "1,8"))


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
