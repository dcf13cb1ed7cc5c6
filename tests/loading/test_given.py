"""The inputs that a command line or a configuration names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from torchstat_cli.errors import InputError, SpecError
from torchstat_cli.loading import Inputs, InputSpec, written_inputs


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.py").write_text("import torch\n\n\ndef rows():\n    return torch.ones(2, 4)\n")
    monkeypatch.chdir(tmp_path)


def test_texts_are_specs_of_dummies() -> None:
    assert written_inputs(["1,4", "ids=1,16:int64<1000"], None) == (
        InputSpec(None, (1, 4), None, None),
        InputSpec("ids", (1, 16), "int64", 1000),
    )


def test_a_factory_gives_ready_inputs() -> None:
    given = written_inputs([], "rows.py:rows")
    assert isinstance(given, Inputs)
    (rows,) = given.args
    assert isinstance(rows, torch.Tensor)
    assert tuple(rows.shape) == (2, 4)


@pytest.mark.parametrize("factory", [None, ""])
def test_nothing_is_none(factory: str | None) -> None:
    assert written_inputs([], factory) is None


def test_what_cannot_be_read() -> None:
    with pytest.raises(InputError):
        written_inputs(["2,x"], None)
    with pytest.raises(SpecError):
        written_inputs([], "rows.py:absent")
