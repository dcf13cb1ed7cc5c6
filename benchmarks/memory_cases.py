"""The models whose simulated peaks are held against the real allocator's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from benchmarks.libraries import import_library
from sample_models.recurrent import lstm_classifier
from sample_models.unet import unet


@dataclass(frozen=True)
class Case:
    """One model to measure."""

    name: str
    words: str  # the name and its sizes, for people
    build: Callable[[], nn.Module]
    inputs: Callable[[], dict[str, Tensor]]
    goal: float  # largest error in percent
    loss: Callable[[Any], Tensor] | None = None


class Checkpointed(nn.Module):
    """A transformer that keeps only the input of each layer and runs it again in the backward pass."""

    def __init__(self, width: int = 256, heads: int = 4, depth: int = 6) -> None:
        super().__init__()
        layers = [
            nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=0.0, batch_first=True) for _ in range(depth)
        ]
        self.layers = nn.ModuleList(layers)

    def forward(self, tokens: Tensor) -> Tensor:
        """``(batch, tokens, width)`` in and out."""
        for layer in self.layers:
            tokens = checkpoint(layer, tokens, use_reentrant=False)
        return tokens


class Recurrent(nn.Module):
    """A recurrent layer of torch, its results without the states."""

    def __init__(self, kind: type[nn.RNNBase], **options: Any) -> None:
        super().__init__()
        self.layer = kind(128, 256, batch_first=True, **options)

    def forward(self, sequences: Tensor) -> Tensor:
        """``(batch, steps, 128)`` to ``(batch, steps, 256)``."""
        output: Tensor = self.layer(sequences)[0]
        return output


def cases(large: bool) -> Iterator[Case]:
    """The models; ``large`` where the machine can take full batches."""
    batch = 16 if large else 4
    yield from _of_libraries(batch, large)
    pictures = lambda: {"images": torch.randn(batch, 3, 128, 128)}  # noqa: E731
    yield Case("unet", f"U-Net, batch {batch}", lambda: unet(width=32), pictures, 1.5)
    last = lambda: _channels_last_all(pictures())  # noqa: E731
    yield Case("unet-last", "U-Net, channels last", lambda: _channels_last(unet(width=32)), last, 1.5)
    tokens = lambda: {"ids": torch.zeros(32, 64, dtype=torch.int64)}  # noqa: E731
    yield Case("lstm", "LSTM, 2 layers, both directions", lambda: lstm_classifier(hidden=256), tokens, 1.5)
    sequences = lambda: {"sequences": torch.randn(32, 64, 128)}  # noqa: E731
    yield Case("lstm-plain", "LSTM without biases", lambda: Recurrent(nn.LSTM, bias=False), sequences, 1.5)
    yield Case("gru", "GRU, 2 layers", lambda: Recurrent(nn.GRU, num_layers=2), sequences, 0.1)
    states = lambda: {"tokens": torch.randn(8, 256, 256)}  # noqa: E731
    yield Case("checkpointed", "checkpointed transformer", Checkpointed, states, 0.1)


def _of_libraries(batch: int, large: bool) -> Iterator[Case]:
    vision, transformers = import_library("torchvision"), import_library("transformers")
    if vision is not None:
        few = max(2, batch // 2)
        for name, size, goal in (("resnet18", batch, 1.5), ("mobilenet_v2", batch, 1.5), ("vit_b_16", few, 1.5)):
            images = lambda size=size: {"x": torch.randn(size, 3, 224, 224)}  # noqa: E731
            yield Case(name, f"{name}, batch {size}", getattr(vision.models, name), images, goal)
    if transformers is not None:
        tokens = 512 if large else 128
        words = f"gpt2 without dropout, 2 x {tokens} tokens"
        yield Case("gpt2", words, lambda: _gpt2(transformers), lambda: _ids(2, tokens), 0.1, _logits)


def _channels_last(model: nn.Module) -> nn.Module:
    """The layout that oneDNN and cuDNN convolve in without copying."""
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _channels_last_all(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.contiguous(memory_format=torch.channels_last) for name, tensor in inputs.items()}


def _gpt2(transformers: Any) -> nn.Module:
    config = transformers.GPT2Config(resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    model: nn.Module = transformers.GPT2LMHeadModel(config)
    return model


def _ids(batch: int, tokens: int) -> dict[str, Tensor]:
    return {"input_ids": torch.ones(batch, tokens, dtype=torch.int64)}


def _logits(output: Any) -> Tensor:
    logits: Tensor = output.logits
    return logits.sum()
