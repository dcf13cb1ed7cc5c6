"""Simulated peaks, made without memory, beside those of the real allocator: a forward pass, training steps 1 and 2.

    python -m benchmarks.memory                   against the CPU's allocator, with torch.profiler
    python -m benchmarks.memory --device cuda     against torch.cuda.max_memory_allocated

The same numbers on both sides: tensors, that is parameters, buffers, inputs and everything a run makes of them.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import torchstat_cli as ms
from benchmarks.libraries import import_library
from sample_models.recurrent import lstm_classifier
from sample_models.unet import unet
from torchstat_cli.capture.allocator import cpu_changes
from torchstat_cli.units import format_bytes

PHASES = ("forward", "step 1", "step 2")


@dataclass(frozen=True)
class Case:
    """One model to measure."""

    name: str
    build: Callable[[], nn.Module]
    inputs: Callable[[], dict[str, Tensor]]
    goal: float | None  # largest error in percent; None where kernels are known to allocate below the dispatcher
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


def cases(large: bool) -> Iterator[Case]:
    """The models; ``large`` where the machine can take full batches."""
    vision, transformers = import_library("torchvision"), import_library("transformers")
    batch = 16 if large else 4
    if vision is not None:
        images = lambda: {"x": torch.randn(batch, 3, 224, 224)}  # noqa: E731
        yield Case("resnet18", vision.models.resnet18, images, 1.5)
        small = lambda: {"x": torch.randn(max(2, batch // 2), 3, 224, 224)}  # noqa: E731
        yield Case("vit_b_16", vision.models.vit_b_16, small, 1.5)
    if transformers is not None:
        yield Case("gpt2", lambda: _gpt2(transformers), lambda: _ids(2, 512 if large else 128), 0.1, _logits)
    pictures = lambda: {"images": torch.randn(batch, 3, 128, 128)}  # noqa: E731
    yield Case("unet", lambda: _channels_last(unet(width=32)), lambda: _channels_last_all(pictures()), 1.5)
    yield Case("unet, NCHW", lambda: unet(width=32), pictures, None)
    tokens = lambda: {"ids": torch.zeros(32, 64, dtype=torch.int64)}  # noqa: E731
    yield Case("lstm", lambda: lstm_classifier(hidden=256), tokens, 1.5)
    yield Case("checkpointed", Checkpointed, lambda: {"tokens": torch.randn(8, 256, 256)}, 0.1)


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


# --- simulated -------------------------------------------------------------------------------------------------------


def simulated(case: Case, optimizer: str, attention: str) -> dict[str, int]:
    """Peaks in bytes by phase, on meta."""
    with torch.device("meta"):
        model = case.build()
    inputs = case.inputs()
    forward = ms.profile(model, kwargs=inputs, memory=True, attention=attention)
    step = ms.profile(
        model, kwargs=inputs, memory=True, train=True, optimizer=optimizer, loss=case.loss, attention=attention
    )
    assert forward.memory is not None
    assert step.memory is not None
    peaks = {"forward": forward.memory.peak.total}
    for number in (1, 2):
        peaks[f"step {number}"] = max(part.nbytes for part in step.memory.phases if part.step == number)
    return peaks


# --- real ------------------------------------------------------------------------------------------------------------


def real(case: Case, optimizer: str, device: str) -> dict[str, int]:
    """The allocator's peaks in bytes by phase."""
    torch.manual_seed(0)
    model = case.build().to(device)
    inputs = {name: tensor.to(device) for name, tensor in case.inputs().items()}
    held = sum(
        t.untyped_storage().nbytes() for t in _distinct([*model.parameters(), *model.buffers(), *inputs.values()])
    )
    torch.backends.mha.set_fastpath_enabled(False)  # one fused operator for a whole layer, which hides its parts
    measure = _Cpu(held) if device == "cpu" else _Cuda(held, device)
    model.eval()
    with torch.inference_mode():
        model(**inputs)  # what libraries make on their first call is not the model's
        peaks = {"forward": measure.peak(lambda: model(**inputs))}
    model.train()
    loss = case.loss or (lambda output: output.sum())
    maker = ms.api.training_run(optimizer).make_optimizer
    loop = _Loop(model, inputs, loss, maker(list(model.parameters())))
    for phase in PHASES[1:]:
        peaks[phase] = measure.peak(loop.step)
    return peaks


@dataclass
class _Loop:
    model: nn.Module
    inputs: dict[str, Tensor]
    loss: Callable[[Any], Tensor]
    optimizer: torch.optim.Optimizer

    def step(self) -> None:
        """One training step."""
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(self.model(**self.inputs)).backward()
        self.optimizer.step()


class _Cpu:
    """Asks torch.profiler; what one call leaves allocated is there in the next."""

    def __init__(self, held: int) -> None:
        self._held = held

    def peak(self, run: Callable[[], Any]) -> int:
        highest, kept = cpu_changes(run)
        peak = self._held + highest
        self._held += kept
        return peak


class _Cuda:
    """Asks CUDA's caching allocator."""

    def __init__(self, held: int, device: str) -> None:
        torch.cuda.synchronize(device)
        self._held, self._device, self._start = held, device, torch.cuda.memory_allocated(device)

    def peak(self, run: Callable[[], Any]) -> int:
        torch.cuda.reset_peak_memory_stats(self._device)
        run()
        torch.cuda.synchronize(self._device)
        return self._held + torch.cuda.max_memory_allocated(self._device) - self._start


def _distinct(tensors: list[Tensor]) -> list[Tensor]:
    return list({tensor.untyped_storage()._cdata: tensor for tensor in tensors}.values())


# --- the table -------------------------------------------------------------------------------------------------------


def main() -> int:
    """Print the table; 1 if an error is larger than its goal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description="Simulated beside real peaks.")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--optimizer", help="as modelstat --optimizer; adam by default, as torch runs it on the device")
    parser.add_argument("--only", help="the name of one model")
    options = parser.parse_args()
    on_cuda = options.device.startswith("cuda")
    if on_cuda and not torch.cuda.is_available():
        parser.error("torch sees no CUDA device here; leave --device out to measure on the CPU")
    optimizer = options.optimizer or ("adam:foreach=True" if on_cuda else "adam")
    table = Table("model", "phase", "simulated", "real", "error", "goal", "simulation", box=None)
    missed = False
    for case in cases(large=on_cuda):
        if options.only in (None, case.name):
            # cuDNN keeps a workspace for recurrent layers, of which the plain form that meta runs knows nothing.
            goal = case.goal if not on_cuda else None if case.name.startswith("lstm") else 5.0
            missed |= _measure(case, table, optimizer, options.device, goal)
            gc.collect()
    Console(width=None if sys.stdout.isatty() else 120).print(table)
    return int(missed)


def _measure(case: Case, table: Table, optimizer: str, device: str, goal: float | None) -> bool:
    """Add the lines of one model; whether a goal was missed."""
    start = time.perf_counter()
    # On a GPU torch takes the memory-efficient kernel for float32; on the CPU it chooses as "auto" does.
    wanted = simulated(case, optimizer, "auto" if device == "cpu" else "efficient")
    seconds = time.perf_counter() - start
    found = real(case, optimizer, device)
    missed = False
    for phase in PHASES:
        error = 100 * (wanted[phase] - found[phase]) / found[phase]
        reached = goal is None or abs(error) <= goal
        missed |= not reached
        table.add_row(
            case.name if phase == "forward" else "",
            phase,
            format_bytes(wanted[phase]),
            format_bytes(found[phase]),
            f"{error:+.3f} %{'' if reached else '  missed'}",
            "" if goal is None else f"{goal} %",
            f"{seconds:.1f} s" if phase == "forward" else "",
        )
    return missed


if __name__ == "__main__":
    sys.exit(main())
