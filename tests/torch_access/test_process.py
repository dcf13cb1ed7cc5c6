"""Foreign code changes nothing that outlives it."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import pytest
import torch

from torchstat_cli.torch_access.process import untouched_process


def _misbehave(folder: Path) -> None:
    sys.path.append("/nowhere")
    os.chdir(folder)
    torch.manual_seed(99)
    random.seed(99)
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)


@pytest.mark.parametrize("raises", [False, True])
def test_everything_is_put_back(tmp_path: Path, raises: bool) -> None:
    path, directory, dtype = list(sys.path), os.getcwd(), torch.get_default_dtype()
    torch_state, python_state = torch.get_rng_state(), random.getstate()
    try:
        with untouched_process(["/first"]):
            assert sys.path[0] == "/first"
            _misbehave(tmp_path)
            if raises:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        assert raises
    assert sys.path == path
    assert os.getcwd() == directory
    assert torch.get_default_dtype() is dtype
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert random.getstate() == python_state
    assert torch.is_grad_enabled()


def test_numpy_is_put_back() -> None:
    numpy = pytest.importorskip("numpy")
    numpy.random.seed(1)
    expected = numpy.random.rand()
    numpy.random.seed(1)
    with untouched_process():
        numpy.random.rand(5)
    assert numpy.random.rand() == expected


def test_prints_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with untouched_process():
        print("building")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "building\n")
