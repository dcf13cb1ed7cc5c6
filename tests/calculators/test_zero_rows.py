"""Work on nothing costs nothing: an idle expert, an image without proposals, an empty mask, in a training step too."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import torchstat_cli as ms
from tests.capture.modules import Custom, quietly


def _flattened(function: Any) -> nn.Module:
    return Custom(lambda self, x: function(x * self.scale), scale=nn.Parameter(torch.ones(())))


CASES: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "layer norm": (nn.LayerNorm(8), (0, 8)),
    "layer norm, no columns": (quietly(nn.LayerNorm, 0), (3, 0)),
    "rms norm": (nn.RMSNorm(8), (0, 8)),
    "group norm": (nn.GroupNorm(2, 4), (0, 4, 5)),
    "batch norm in evaluation": (nn.BatchNorm1d(4).eval(), (0, 4)),
    "linear": (nn.Linear(8, 4), (0, 8)),
    "linear, no inputs": (quietly(nn.Linear, 0, 4), (3, 0)),
    "convolution": (nn.Conv2d(3, 4, 3), (0, 3, 8, 8)),
    "transposed convolution": (nn.ConvTranspose1d(3, 4, 3), (0, 3, 8)),
    "bilinear": (Custom(lambda self, x: self.inner(x, x), inner=nn.Bilinear(4, 4, 2)), (0, 4)),
    "embedding": (Custom(lambda self, x: self.inner(x.long()), inner=nn.Embedding(5, 4)), (0,)),
    "attention": (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (0, 5, 8)),
    "lstm cell": (Custom(lambda self, x: self.inner(x)[0], inner=nn.LSTMCell(4, 4)), (0, 4)),
    "softmax": (_flattened(lambda x: x.softmax(-1)), (0, 4)),
    "logsumexp": (_flattened(lambda x: x.logsumexp(-1)), (0, 4)),
    "einsum": (_flattened(lambda x: torch.einsum("ij->i", x)), (3, 0)),
    "einsum of two": (_flattened(lambda x: torch.einsum("ij,kl->ik", x, x)), (3, 0)),
    "sum, no columns": (_flattened(lambda x: x.sum(1)), (3, 0)),
    "cross entropy": (
        _flattened(lambda x: nn.functional.cross_entropy(x, torch.empty(0, dtype=torch.int64), reduction="sum")),
        (0, 4),
    ),
    "squared error": (_flattened(lambda x: nn.functional.mse_loss(x, x.detach(), reduction="sum")), (0, 4)),
    "gelu": (_flattened(nn.functional.gelu), (0, 4)),
}


@pytest.mark.parametrize("name", CASES)
def test_no_rows_no_work(name: str) -> None:
    """Plain SGD takes two FLOPs per parameter with a gradient; beyond that only what makes results of nothing."""
    model, shape = CASES[name]
    rows = torch.empty(shape)
    for device in ("meta", "cpu"):
        forward = ms.profile(model, rows, device=device).total
        step = ms.profile(model, rows, device=device, train=True, mode="train").total
        assert forward.madds == step.madds == 0
        assert step.training is not None
        assert step.training.forward_flops + step.training.backward_flops <= _results(model, rows)
        assert step.training.optimizer_flops <= 2 * step.params


def _results(model: nn.Module, rows: Tensor) -> int:
    """A bound on the work that is left: a bias, eps and root per result and per statistic; a few for the loss's sum."""
    outputs = model(rows)
    return 8 * (outputs.numel() + sum(parameter.numel() for parameter in model.parameters())) + 8


def test_idle_expert_in_a_training_step() -> None:
    """Three tokens cannot keep eight experts busy; the busy ones cost as if they were alone."""

    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.experts = nn.ModuleList(nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8)) for _ in range(8))

        def forward(self, tokens: Tensor) -> Tensor:
            result = torch.zeros_like(tokens)
            for index, expert in enumerate(self.experts):
                rows = torch.arange(3)[torch.arange(3) == index]
                result = result.index_add(0, rows, expert(tokens[rows]))
            return result

    total = ms.profile(Experts(), torch.randn(3, 8), train=True).total
    # forward, and the gradients of the weight and of the layer norm's output: 3 tokens x 8 x 8 each
    assert total.madds == 3 * 3 * 8 * 8
