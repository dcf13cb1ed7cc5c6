"""Sentences about exceptions, and close matches."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from torchstat_cli.loading.failures import chain, describe, root_cause, suggestion


def _run(path: Path, text: str) -> BaseException:
    path.write_text(text)
    try:
        exec(compile(text, str(path), "exec"), {"torch": torch})
    except BaseException as error:
        return error
    raise AssertionError("the text should raise")


def test_the_line_is_the_users_own_not_torchs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = _run(tmp_path / "own.py", "x = 1\n\ntorch.nn.functional.linear(torch.ones(2), torch.ones(3, 3))\n")
    assert describe(error).endswith("(own.py:3)")


def test_several_lines_become_one() -> None:
    assert describe(ValueError("one\n  two")) == "ValueError: one two"
    assert describe(AssertionError()) == "AssertionError"


def test_the_first_cause_is_found() -> None:
    first, second, third = OSError("first"), ValueError("second"), TypeError("third")
    second.__cause__, third.__cause__ = first, second
    assert root_cause(third) is first
    assert list(chain(third)) == [third, second, first]


def test_a_chain_that_leads_to_itself_ends() -> None:
    first, second = OSError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert list(chain(first)) == [first, second]
    assert root_cause(first) is second


@pytest.mark.parametrize(
    ("name", "known", "said"),
    [
        ("resnt18", ["resnet18", "vit"], "; did you mean resnet18?"),
        ("RESNET18", ["resnet18"], "; did you mean resnet18?"),
        ("zzz", ["resnet18"], ""),
        ("net", [], ""),
    ],
)
def test_suggestions(name: str, known: list[str], said: str) -> None:
    assert suggestion(name, known) == said
