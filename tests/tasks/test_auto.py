"""Where a run on meta fails and the inputs are not to blame, "auto" runs the model for real, and says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import torchstat_cli as ms
from torchstat_cli.cli.main import main
from torchstat_cli.errors import ForwardError, PlacementError

ROWS = torch.ones(2, 8)
MADDS = 2 * 8 * 8

Body = Callable[[nn.Linear, torch.Tensor], torch.Tensor]


class Calling(nn.Module):
    def __init__(self, body: Body) -> None:
        super().__init__()
        self.layer, self.body = nn.Linear(8, 8), body

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(self.layer, x)


def formatting(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
    y: torch.Tensor = layer(x)
    assert f"{y.mean():.3f}"
    return y


def through_numpy(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(layer(x).detach().numpy() * 2)


def asking_for_the_device(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
    if x.device.type not in ("cpu", "cuda"):
        raise RuntimeError("unsupported backend")
    return layer(x)  # type: ignore[no-any-return]


def keyed_by_device(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
    scale: float = {"cpu": 1.0, "cuda": 2.0}[x.device.type]
    return layer(x) * scale  # type: ignore[no-any-return]


def pointer(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
    if x.data_ptr() == 0:
        raise ValueError("empty memory")
    return layer(x)  # type: ignore[no-any-return]


def broken(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
    raise LookupError(f"broken: {x.device.type}")


HABITS: list[Body] = [formatting, through_numpy, asking_for_the_device, keyed_by_device, pointer]


@pytest.mark.parametrize("body", HABITS)
def test_live_model(body: Body) -> None:
    model = Calling(body).eval()
    expected = model(ROWS)
    report = ms.profile(model, ROWS)
    assert report.total.madds == MADDS
    assert report.provenance.placement == "cpu"
    assert torch.equal(model(ROWS), expected)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_training_of_a_scripted_module() -> None:
    assert ms.profile(torch.jit.trace(nn.Linear(8, 8), ROWS), ROWS, train=True).total.madds == 2 * MADDS


def test_the_device_meta_is_never_left() -> None:
    with pytest.raises(ForwardError, match="unsupported backend"):
        ms.profile(Calling(asking_for_the_device), ROWS, device="meta")


def test_a_failure_on_both_is_that_on_meta() -> None:
    with pytest.raises(ForwardError, match="broken: meta"):
        ms.profile(Calling(broken), ROWS)


def test_inputs_that_do_not_fit_are_not_tried_again() -> None:
    calls: list[str] = []

    def counting(layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
        calls.append(x.device.type)
        return layer(x)  # type: ignore[no-any-return]

    with pytest.raises(ForwardError, match="mat1 and mat2"):
        ms.profile(Calling(counting), torch.ones(2, 5))
    assert "cpu" not in calls


MODELS = """
import torch
from torch import nn


class Careful(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layer = nn.Linear(width, width)

    def forward(self, x):
        if x.device.type not in ("cpu", "cuda"):
            raise RuntimeError("unsupported backend")
        return self.layer(x)


def small(): return Careful(8)
def large(): return Careful(4096)
small.example_inputs, large.example_inputs = ["2,8"], ["2,4096"]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "careful.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torchstat_cli.tasks.ladder.unasked_limit", lambda: 2**20)
    return tmp_path


def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["careful.py:small"]) == 0
    captured = capsys.readouterr()
    assert "note: not run on meta: " in captured.err
    assert "unsupported backend" in captured.err


def test_a_large_model_is_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["careful.py:large"]) == 2
    captured = capsys.readouterr()
    assert "unsupported backend" in captured.err
    assert "--device cpu (careful.py:large needs 64.02 MiB" in captured.err
    for asked in (["--yes"], ["--device", "cpu"]):
        assert main(["careful.py:large", *asked, "--format", "csv"]) == 0


def test_fit_never_runs_for_real(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "careful.py:small", "--budget", "1GiB"]) == 2
    assert "unsupported backend" in capsys.readouterr().err


def test_a_model_that_lies_on_meta_stays_there() -> None:
    with torch.device("meta"):
        model = Calling(asking_for_the_device)
    with pytest.raises((ForwardError, PlacementError), match="unsupported backend"):
        ms.profile(model, ROWS)


def test_the_remedy_for_a_model_on_meta_is_no_device() -> None:
    class Counting(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x) * len(x.tolist())

    with torch.device("meta"):
        model, rows = Counting(8, 8), torch.ones(2, 8)
    with pytest.raises(PlacementError) as caught:
        ms.profile(model, rows)
    assert caught.value.hint == "build the model on the CPU: it lies on meta and has no values"
