"""Arguments that do not fit are refused on meta in the words of the CPU, which name the numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import torchstat_cli as ms
from torchstat_cli.errors import ForwardError

MISFITS: list[tuple[Callable[[], nn.Module], torch.Tensor]] = [
    (lambda: nn.Linear(8, 4), torch.ones(2, 5)),
    (lambda: nn.Conv2d(3, 4, 3), torch.ones(1, 1, 8, 8)),
    (lambda: nn.Conv2d(3, 4, 3), torch.ones(2, 3)),
    (lambda: nn.Conv1d(4, 4, 9), torch.ones(1, 4, 3)),
    (lambda: nn.ConvTranspose2d(3, 4, 3), torch.ones(1, 2, 8, 8)),
    (lambda: nn.ConvTranspose1d(3, 4, 3), torch.ones(1, 2, 8)),
    (lambda: nn.ConvTranspose3d(3, 4, 3), torch.ones(2, 8, 8, 8)),
    (lambda: nn.ConvTranspose2d(4, 4, 3, groups=2), torch.ones(1, 6, 8, 8)),
    (lambda: nn.BatchNorm1d(4), torch.ones(2, 5)),
    (lambda: nn.GroupNorm(2, 4), torch.ones(2, 6, 3)),
    (lambda: nn.LayerNorm(4), torch.ones(2, 5)),
    (lambda: nn.Embedding(4, 4), torch.ones(2)),
]


@pytest.mark.parametrize(("build", "rows"), MISFITS)
def test_words_of_the_cpu(build: Callable[[], nn.Module], rows: torch.Tensor) -> None:
    model = build().eval()
    with torch.inference_mode(), pytest.raises((RuntimeError, ValueError)) as plain:
        model(rows)
    expected = str(plain.value).splitlines()[0][:60]
    with pytest.raises(ForwardError) as caught:
        ms.profile(model, rows)
    assert expected in caught.value.message


def test_large_arguments_are_not_made_for_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    zeros = torch.zeros
    monkeypatch.setattr(torch, "zeros", lambda shape, **options: made.append(1) or zeros(shape, **options))
    with torch.device("meta"):
        model, rows = nn.Linear(1 << 14, 1 << 14), torch.ones(1, 5)
    with pytest.raises(ForwardError):
        ms.profile(model, rows)
    assert made == []
