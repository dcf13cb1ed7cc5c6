"""Where opt_einsum chose the order of an einsum, the report says so: another order costs otherwise."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import torchstat_cli as ms

FIRST, SECOND = torch.ones(100, 2), torch.ones(2, 100)


class Chain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(100, 3))

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.einsum("ij,jk,kl->il", a, b, self.weight)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What torch takes for opt_einsum; it multiplies the last two first, which is cheaper here."""
    chosen = SimpleNamespace(contract_path=lambda *operands, **options: ([(1, 2), (0, 1)], ""))
    settings = torch.backends.opt_einsum.m  # type: ignore[attr-defined]  # the module behind its properties
    monkeypatch.setattr(settings, "_opt_einsum", chosen)
    monkeypatch.setattr(settings, "is_available", lambda: True)
    monkeypatch.setattr(settings, "enabled", True)
    return chosen


@pytest.mark.parametrize(("options", "times"), [({}, 1), ({"device": "cpu"}, 1), ({"train": True}, 2)], ids=str)
def test_chosen(library: Any, options: dict[str, Any], times: int) -> None:
    before = library.contract_path
    report = ms.profile(Chain(), FIRST, SECOND, **options)
    assert report.total.madds == times * (2 * 100 * 3 + 100 * 2 * 3)
    (notice,) = report.provenance.notices
    assert notice.startswith("opt_einsum chose the order of an einsum; ")
    assert library.contract_path is before


def test_in_a_loop_of_the_users_own(library: Any) -> None:
    model = Chain()
    with ms.instrument(model) as capture:
        for _ in range(3):
            model(FIRST, SECOND)
    assert capture.profile().provenance.notices[0].startswith("opt_einsum chose the order of 3 einsum calls; ")


def test_left_to_right_needs_no_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.opt_einsum.m, "enabled", False)  # type: ignore[attr-defined]
    report = ms.profile(Chain(), FIRST, SECOND)
    assert report.total.madds == 100 * 2 * 100 + 100 * 100 * 3
    assert report.provenance.notices == ()
