"""The peaks of one model by phase, in bytes: simulated on meta, and asked of the real allocator."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import torchstat_cli as ms
from benchmarks.peaks.case import Case
from torchstat_cli.capture.memory.allocator import cpu_changes

PHASES = ("forward", "step 1", "step 2")

Peaks = dict[str, int]
"""Bytes by phase."""


def simulated(case: Case, optimizer: str, attention: str) -> Peaks:
    """On meta."""
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


def real(case: Case, optimizer: str, device: str) -> Peaks:
    """Of the allocator of ``device``."""
    torch.manual_seed(0)
    model = case.build().to(device)
    inputs = {name: tensor.to(device) for name, tensor in case.inputs().items()}
    held = sum(
        t.untyped_storage().nbytes() for t in _distinct([*model.parameters(), *model.buffers(), *inputs.values()])
    )
    # What libraries make on their first call is not the model's; what the model makes on its own first call is, and
    # may be gone when it trains: each phase has a copy of its own.
    warmed, asked = copy.deepcopy(model).eval(), copy.deepcopy(model).eval()
    with torch.inference_mode():
        warmed(**inputs)
        del warmed
        measure = _Cpu(held) if device == "cpu" else _Cuda(held, device)
        peaks = {"forward": measure.peak(partial(asked, **inputs))}
    del asked
    measure = _Cpu(held) if device == "cpu" else _Cuda(held, device)
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
