"""TorchScript takes no hooks: what it does counts in the row above, and the report says why other rows are empty."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import torchstat_cli as ms

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning"),  # from torch 2.14 on
]
ROWS = torch.ones(3, 8)


def scripted() -> nn.Module:
    return torch.jit.script(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8)))  # type: ignore[no-any-return]


class Around(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head, self.body, self.spare = nn.Linear(8, 8), scripted(), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self.head(x))  # type: ignore[no-any-return]


def test_a_script_alone() -> None:
    report = ms.profile(scripted(), ROWS)
    assert report.total.madds == 2 * 3 * 8 * 8
    assert report.never_called == ()
    assert any("TorchScript hides its modules" in words for words in report.provenance.assumptions)
    assert "TorchScript hides its modules" in str(report)


def test_a_script_inside_another_model() -> None:
    report = ms.profile(Around(), ROWS)
    assert report.total.madds == 3 * 3 * 8 * 8
    assert report.never_called == ("spare",)  # seen, and idle
    assert sum(row.madds for row in report.rows) == report.total.madds


def test_nothing_is_hidden_in_other_models() -> None:
    assert not ms.profile(nn.Linear(8, 8), ROWS).provenance.assumptions
