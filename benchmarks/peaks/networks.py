"""Convolutional, recurrent and mixing networks that need no library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.peaks.case import Case
from sample_models.experts import mixture_of_experts
from sample_models.recurrent import lstm_classifier
from sample_models.unet import unet


class Recurrent(nn.Module):
    """A recurrent layer of torch, its results without the states."""

    def __init__(self, kind: type[nn.RNNBase], **options: Any) -> None:
        super().__init__()
        self.layer = kind(128, 256, batch_first=True, **options)

    def forward(self, sequences: Tensor) -> Tensor:
        """``(batch, steps, 128)`` to ``(batch, steps, 256)``."""
        output: Tensor = self.layer(sequences)[0]
        return output


class Waves(nn.Module):
    """WaveNet: dilated convolutions with gates, and a sum of what each layer gives."""

    def __init__(self, width: int = 32, depth: int = 6) -> None:
        super().__init__()
        self.inward = nn.Conv1d(1, width, 1)
        self.gates = nn.ModuleList(
            nn.Conv1d(width, 2 * width, 3, padding=2**level, dilation=2**level) for level in range(depth)
        )
        self.outward = nn.Conv1d(width, 1, 1)

    def forward(self, waves: Tensor) -> Tensor:
        """``(batch, 1, samples)`` in and out."""
        x = self.inward(waves)
        total = torch.zeros_like(x)
        for layer in self.gates:
            values, gates = layer(x).chunk(2, 1)
            made = values.tanh() * gates.sigmoid()
            total, x = total + made, x + made
        result: Tensor = self.outward(total)
        return result


def generator(width: int = 32) -> nn.Sequential:
    """DCGAN: transposed convolutions with batch norm."""
    layers: list[nn.Module] = [nn.ConvTranspose2d(100, 8 * width, 4, bias=False), nn.BatchNorm2d(8 * width), nn.ReLU()]
    for factor in (4, 2, 1):
        up = nn.ConvTranspose2d(2 * factor * width, factor * width, 4, 2, 1, bias=False)
        layers += [up, nn.BatchNorm2d(factor * width), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh())


def volumes(width: int = 16) -> nn.Sequential:
    """Convolutions of videos."""
    return nn.Sequential(
        *(nn.Conv3d(3, width, 3, padding=1), nn.BatchNorm3d(width), nn.ReLU(), nn.MaxPool3d(2)),
        *(nn.Conv3d(width, 2 * width, 3, padding=1), nn.GroupNorm(4, 2 * width), nn.GELU(), nn.AdaptiveAvgPool3d(1)),
        *(nn.Flatten(), nn.Linear(2 * width, 10)),
    )


def network_cases(batch: int) -> Iterator[Case]:
    """The models."""
    pictures = lambda: {"images": torch.randn(batch, 3, 128, 128)}  # noqa: E731
    yield Case("unet", f"U-Net, batch {batch}", lambda: unet(width=32), pictures)
    last = lambda: _channels_last_all(pictures())  # noqa: E731
    yield Case("unet-last", "U-Net, channels last", lambda: _channels_last(unet(width=32)), last)
    tokens = lambda: {"ids": torch.zeros(32, 64, dtype=torch.int64)}  # noqa: E731
    yield Case("lstm", "LSTM, 2 layers, both directions", lambda: lstm_classifier(hidden=256), tokens)
    sequences = lambda: {"sequences": torch.randn(32, 64, 128)}  # noqa: E731
    yield Case("lstm-plain", "LSTM without biases", lambda: Recurrent(nn.LSTM, bias=False), sequences)
    yield Case("gru", "GRU, 2 layers", lambda: Recurrent(nn.GRU, num_layers=2), sequences)
    yield Case("wavenet", "WaveNet", Waves, lambda: {"waves": torch.randn(4, 1, 8000)})
    yield Case("generator", "DCGAN generator", generator, lambda: {"input": torch.randn(8, 100, 1, 1)})
    yield Case("volumes", "3-D convolutions", volumes, lambda: {"input": torch.randn(2, 3, 8, 64, 64)})
    experts = lambda: mixture_of_experts(width=128, hidden=256)  # noqa: E731
    yield Case("experts", "mixture of experts", experts, lambda: {"tokens": torch.randn(256, 128)})


def _channels_last(model: nn.Module) -> nn.Module:
    """The layout that oneDNN and cuDNN convolve in without copying."""
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _channels_last_all(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.contiguous(memory_format=torch.channels_last) for name, tensor in inputs.items()}
