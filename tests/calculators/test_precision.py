"""Dtypes of parameters and products; and the warning about Adam over low precision, with its bytes by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import torchstat_cli as ms


def model(dtype: torch.dtype = torch.float32) -> nn.Module:
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4)).to(dtype)


PARAMS = 16 * 32 + 32 + 32 * 4 + 4
MADDS = 2 * (16 * 32 + 32 * 4)


def line(report: ms.Report, label: str) -> str:
    return next((text for text in str(report).splitlines() if text.startswith(f"{label} ")), "")


def test_one_dtype() -> None:
    report = ms.profile(model(), torch.zeros(2, 16))
    assert report.precision is not None
    assert (report.precision.params, report.precision.compute) == ({"float32": PARAMS}, {"float32": MADDS})
    assert line(report, "params").endswith("KiB, float32")
    low = ms.profile(model(torch.bfloat16), torch.zeros(2, 16, dtype=torch.bfloat16))
    assert line(low, "params").endswith("KiB, bfloat16")


def test_autocast_computes_in_another() -> None:
    report = ms.profile(model(), torch.zeros(2, 16), train=True, autocast="bfloat16")
    assert report.precision is not None
    assert set(report.precision.compute) == {"bfloat16"}
    assert line(report, "params").endswith("float32, computed in bfloat16")


def test_several_dtypes() -> None:
    mixed = nn.Sequential(nn.Linear(16, 16, bias=False).to(torch.bfloat16), nn.Linear(16, 48, bias=False))

    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = mixed

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layers[1](self.layers[0](x.bfloat16()).float())

    report = ms.profile(Mixed(), torch.zeros(2, 16))
    assert line(report, "params").endswith("float32 (75.0 %) and bfloat16 (25.0 %)")


def test_a_tied_parameter_counts_once() -> None:
    tied = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    tied[1].weight = tied[0].weight
    report = ms.profile(tied, torch.zeros(1, 4))
    assert report.precision is not None
    assert report.precision.params == {"float32": 16}


def test_no_parameters() -> None:
    report = ms.profile(nn.ReLU(), torch.zeros(1, 4))
    assert report.precision is not None
    assert report.precision.params == {}
    assert line(report, "params").split() == ["params", "0,", "0", "B"]


@pytest.mark.parametrize(
    ("dtype", "options", "warns"),
    [
        (torch.bfloat16, {"optimizer": "adamw"}, True),
        (torch.bfloat16, {"optimizer": "adam"}, True),
        (torch.float16, {"optimizer": torch.optim.AdamW}, True),
        (torch.bfloat16, {"optimizer": "sgd"}, False),
        (torch.float32, {"optimizer": "adamw"}, False),
        (torch.float32, {"optimizer": "adamw", "autocast": "bfloat16"}, False),
    ],
)
def test_adam_over_low_precision(dtype: torch.dtype, options: dict[str, Any], warns: bool) -> None:
    report = ms.profile(model(dtype), torch.zeros(2, 16, dtype=dtype), train=True, **options)
    text = line(report, "precision")
    assert bool(text) is warns
    if warns:
        # two states of 2 bytes; a copy and two states of 4 bytes
        assert f"{4 * PARAMS / 1024:.3f} KiB" in text
        assert f"master weights and states would take {12 * PARAMS / 1024:.3f} KiB" in text


def test_frozen_parameters_have_no_states() -> None:
    frozen = model(torch.bfloat16).requires_grad_(False)
    frozen[2].weight.requires_grad_(True)  # 128 elements, two states of 2 bytes
    report = ms.profile(frozen, torch.zeros(2, 16, dtype=torch.bfloat16), train=True, optimizer="adamw")
    assert "keeps its states in bfloat16: 512 B" in line(report, "precision")


def test_fit_says_so_too(capsys: pytest.CaptureFixture[str]) -> None:
    from torchstat_cli.cli.main import main

    words = ("sample_models/mlp", "--dtype", "bfloat16", "--train", "--optimizer", "adamw", "--budget", "1GiB")
    assert main(["fit", *words, "--limit", "2"]) == 0
    assert "note: adamw over pure bfloat16 parameters keeps its states in bfloat16" in capsys.readouterr().err


def test_json() -> None:
    import json

    document = json.loads(ms.profile(model(), torch.zeros(2, 16)).to_json())
    assert document["precision"] == {"params": {"float32": PARAMS}, "compute": {"float32": MADDS}}
