"""``modelstat MODEL --train --memory``: what it tells, and mistakes."""

from __future__ import annotations

import json

import pytest

from torchstat_cli.cli.main import main


def test_a_training_step_of_a_small_model(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--quiet", "mlp", "--train", "--optimizer", "adamw", "--memory"]
    assert main([*words, "--format", "json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["mode"] == "train"
    assert report["training"]["optimizer"] == "adamw"
    held = report["memory"]["by_class"]
    assert held["optimizer"] >= 2 * report["totals"]["param_bytes"]
    assert report["memory"]["at"]["module"] in {row["path"] for row in report["rows"]}
    assert main(words) == 0
    assert "optimizer state" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--optimizer", "adam"], "--optimizer only means something in a training step"),
        (["--loss", "a:b"], "--loss only means something"),
        (["--autocast", "bfloat16"], "--autocast only means something"),
        (["--accumulate", "4"], "--accumulate only means something"),
        (["--train", "--optimizer", "adm"], "there is no optimizer 'adm'"),
        (["--train", "--loss", "nowhere_at_all:f"], "nowhere_at_all"),
        (["--train", "--autocast", "int8"], "no floating dtype"),
        (["--train", "--autocast", "float64"], "autocast has no use for float64"),
        (["--train", "--optimizer", "lbfgs"], "known are adadelta"),
        (["--train", "--optimizer", "adamm"], "did you mean adam or"),
        (["--attention", "fast"], "'fast' is not one of"),
        (["--generate", "4"], "is not PROMPT,NEW"),
    ],
)
def test_mistakes(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mlp", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sentence in captured.err
