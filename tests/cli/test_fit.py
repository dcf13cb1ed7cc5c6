"""``modelstat fit``: the answer, its JSON, and mistakes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from torchstat_cli.cli.main import main

MODELS = """
import torch
from torch import nn


def linear():
    return nn.Linear(256, 256, bias=False)


linear.example_inputs = lambda: torch.zeros(1, 256)


def convolution():
    return nn.Conv2d(16, 32, 3, padding=1, bias=False)


convolution.example_inputs = lambda: torch.zeros(2, 16, 32, 32)
"""

ASKING = """
import torch
from torch import nn


class Encoder(nn.Module):
    def __init__(self, masked):
        super().__init__()
        self.masked = masked
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 128, batch_first=True), 1)

    def forward(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], device=x.device) if self.masked else None
        return self.encoder(x, mask=mask)


class Asking(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind, self.layer = kind, nn.Linear(64, 64)

    def forward(self, x):
        y = self.layer(x)
        if self.kind == "gated":
            return self.layer(y) if y.mean().item() > 3 else y
        if self.kind == "selecting":
            return self.layer(y[y[..., 0] > 0])
        return self.layer(torch.tensor(y.tolist(), device=x.device))


def encoder(): return Encoder(True)
def plain_encoder(): return Encoder(False)
def gated(): return Asking("gated")
def selecting(): return Asking("selecting")
def listing(): return Asking("listing")
for factory in (encoder, plain_encoder): factory.example_inputs = ["1,600,64"]
for factory in (gated, selecting, listing): factory.example_inputs = ["1,600,64"]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "fit_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_largest_batch_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    # The weight takes 256 * 256 * 4 = 262144 bytes, each sample 1024 for its input and 1024 for its output.
    budget = 262144 + 37 * 2048 + 100
    assert main(["fit", "fit_models.py:linear", "--budget", str(budget), "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["largest"] == 37
    assert report["budget"] == budget
    best = next(point for point in report["points"] if point["size"] == 37)
    assert best["peak"] == 262144 + 37 * 2048
    assert best["by_class"]["parameter"] == 262144
    assert report["not_modelled"]


def test_the_table_marks_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "fit_models.py:linear", "--gpu", "t4", "--limit", "8", "--train", "--optimizer", "adamw"]) == 0
    out = capsys.readouterr().out
    assert "axis 0 = 8 fits, the largest that was tried" in out
    assert "(t4, https://www.nvidia.com" in out


def test_a_gpu_is_simulated_without_the_copies_of_the_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    def peak_of_two(*words: str) -> int:
        assert main(["fit", "fit_models.py:convolution", "--limit", "2", "--format", "json", *words]) == 0
        points = json.loads(capsys.readouterr().out)["points"]
        return int(next(point["peak"] for point in points if point["size"] == 2))

    weight, image = 16 * 32 * 9, 16 * 32 * 32  # the result has twice the channels of the image
    on_gpu = 4 * (weight + 2 * 3 * image)
    assert peak_of_two("--gpu", "t4") == on_gpu
    # In blocks of 16 the image, the weight and the result are as large as they are; the result is copied back after.
    assert peak_of_two("--budget", "1GiB") == max(on_gpu + 4 * (2 * image + weight), on_gpu + 4 * 2 * 2 * image)


def test_nothing_fits_is_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "fit_models.py:linear", "--budget", "100KiB"]) == 0
    assert "nothing fits: axis 0 = 1 takes 258.0 KiB" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["encoder", "gated", "selecting"])
def test_a_model_that_asks_for_values_is_simulated_all_the_same(
    name: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "asking.py").write_text(ASKING)
    assert main(["fit", f"asking.py:{name}", "--budget", "1GiB", "--format", "json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["largest"] > 8
    assert "note: assumed: " in captured.err


def test_a_causal_mask_takes_what_torchs_fast_path_makes_of_it(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    """The mask, 600 * 600 floats, is repeated as truth for every head, and its softmax is no longer made in place."""
    (folder / "asking.py").write_text(ASKING)
    peaks = []
    for name in ("encoder", "plain_encoder"):
        assert main(["fit", f"asking.py:{name}", "--budget", "1GiB", "--limit", "64", "--format", "json"]) == 0
        points = json.loads(capsys.readouterr().out)["points"]
        peaks.append(next(point["peak"] for point in points if point["size"] == 64))
    scores = 64 * 4 * 600 * 600
    assert peaks[0] - peaks[1] == 600 * 600 * 4 + scores * (4 + 1)


def test_nothing_is_allocated_whatever_the_budget(folder: Path) -> None:
    (folder / "asking.py").write_text(ASKING)
    script = (
        "import resource, sys\n"
        "from torchstat_cli.cli.main import main\n"
        "code = main(sys.argv[1:])\n"
        "print(code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)\n"
    )
    sizes = []
    for name, budget in (("plain_encoder", "64MiB"), ("encoder", "64MiB"), ("encoder", "64GiB"), ("gated", "64GiB")):
        words = [sys.executable, "-c", script, "fit", f"asking.py:{name}", "--budget", budget]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=True)
        code, size = done.stderr.splitlines()[-1].split()
        assert code == "0", done.stderr
        sizes.append(int(size))
    # The largest size has a peak of 64 GiB; what is resident is Python and torch.
    assert max(sizes) < 1.3 * sizes[0]


@pytest.mark.parametrize("device", ["cpu", "cuda", "cuda:1", "mps"])
def test_devices_that_run_for_real_are_refused(device: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "fit_models.py:linear", "--budget", "1GiB", "--device", device]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"error: fit only simulates, and --device {device} would run every size for real" in captured.err
    assert f"modelstat fit_models.py:linear --memory --device {device}" in captured.err


def test_a_model_that_cannot_be_simulated(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    (folder / "asking.py").write_text(ASKING)
    assert main(["fit", "asking.py:listing", "--budget", "1GiB"]) == 2
    captured = capsys.readouterr()
    assert "and fit only simulates" in captured.err
    assert "  measure single sizes: modelstat MODEL --memory --device cpu" in captured.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--budget", "1GiB", "--limit", "0"], "'--limit': 0 is not in the range"),
        ([], "no memory size was given"),
        (["--budget", "1GiB", "--gpu", "t4"], "both --budget and --gpu were given"),
        (["--budget", "lots"], "is not an amount"),
        (["--budget", "0"], "a budget of nothing"),
        (["--gpu", "h1000"], "no GPU named 'h1000'"),
        (["--budget", "1GiB", "--vary", "ids:1"], "--vary 'ids:1' fits no input"),
        (["--budget", "1GiB", "--vary", "batch"], "names no axis"),
        (["--budget", "1GiB", "--vary", "7"], "fits no input"),
        (["--budget", "1GiB", "--optimizer", "adam"], "only means something in a training step"),
        (["--budget", "1GiB", "--train", "--optimizer", "adamm"], "no optimizer 'adamm'"),
        (["--budget", "1GiB", "--inputs", "fit_models:inputs"], "ready inputs cannot be made larger"),
        (["--budget", "1GiB", "--vary", "1"], "forward failed"),
    ],
)
def test_mistakes(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "fit_models.py:linear", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sentence in captured.err
    assert len(captured.err.splitlines()) >= 2  # a remedy follows
