"""docs/conventions.md tells what the formulas count; its Python blocks are run by test_pages.py."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import torchstat_cli as ms
from torchstat_cli.records import RULES

PAGE = (Path(__file__).parents[2] / "docs" / "conventions.md").read_text()
TABLE = PAGE.partition("| activation |")[2].partition("\n\n")[0]
ACTIVATIONS = [
    (name, int(operations))
    for names, operations in re.findall(r"^\| (.+?) \| (\d+) \|", TABLE, re.MULTILINE)
    for name in names.split(", ")
]


def test_the_table_of_activations_was_found() -> None:
    assert len(ACTIVATIONS) >= 15


@pytest.mark.parametrize(("name", "operations"), ACTIVATIONS)
def test_activations_cost_what_the_table_says(name: str, operations: int) -> None:
    plain, _, argument = name.partition(" with ")
    module = nn.GELU(approximate="tanh") if argument else getattr(nn, plain)()
    report = ms.profile(module, torch.empty(4, 6))
    (row,) = report.rows
    assert report.total.flops == operations * torch.Size(row.output_shape[0]).numel()


def test_the_version_of_the_rules_is_the_one_in_the_code() -> None:
    assert f"`RULES` in `torchstat_cli/records/profile.py`, now {RULES}." in PAGE


class Attention(nn.Module):
    """Attention of 2 x 3 heads, 5 queries and keys, width 8."""

    scores, elements = 2 * 3 * 5 * 5, 2 * 3 * 5 * 8

    def __init__(self, *, causal: bool = False, masked: bool = False) -> None:
        super().__init__()
        self.causal, self.masked = causal, masked

    def forward(self, tokens: Tensor) -> Tensor:
        mask = torch.ones(5, 5, dtype=torch.bool, device=tokens.device) if self.masked else None
        return nn.functional.scaled_dot_product_attention(tokens, tokens, tokens, mask, is_causal=self.causal)


@pytest.mark.parametrize(
    ("attention", "device", "more"),
    [
        (Attention(), "cpu", 0),
        (Attention(masked=True), "cpu", Attention.scores),
        (Attention(), "meta", 2 * Attention.elements),
        (Attention(causal=True), "meta", 2 * Attention.elements + Attention.scores),
    ],
)
def test_where_the_two_levels_differ(attention: Attention, device: str, more: int) -> None:
    tokens = torch.zeros(2, 3, 5, 8)
    whole = ms.profile(attention, tokens).total
    with ms.instrument(attention) as capture:
        attention(tokens.to(device))
    parts = capture.profile().total
    assert parts.madds == whole.madds
    assert parts.flops == whole.flops + more


def test_the_two_levels_agree_elsewhere() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.SiLU(), nn.Flatten(2), nn.Linear(36, 16), nn.RMSNorm(16)
    )
    model.append(nn.TransformerEncoderLayer(16, 2, 32, dropout=0.0, batch_first=True))
    images = torch.zeros(1, 3, 8, 8)
    whole = ms.profile(model, images).total
    with ms.instrument(model) as capture:
        model(images)
    parts = capture.profile().total
    assert (parts.madds, parts.flops) == (whole.madds, whole.flops)
