"""``modelstat fit``: the answer, its JSON, and mistakes."""

from __future__ import annotations

import json
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
