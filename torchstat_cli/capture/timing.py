"""Wall time of each module on a real device: warm-up, then the median over repeats, the device synchronised.

Timed without the tape: a dispatch mode would slow every operator and switch compilation off.
"""

from __future__ import annotations

from contextlib import ExitStack
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import nn

from torchstat_cli.capture.autograd import Gradients, with_gradients_as_needed
from torchstat_cli.capture.instrumentation.leaves import Site, find_sites
from torchstat_cli.capture.values.twins import copy_state
from torchstat_cli.torch_access.interrupts import held_back, let_through
from torchstat_cli.torch_access.modules import modules_of, set_training
from torchstat_cli.torch_access.process import one_guest_at_a_time, untouched_generators
from torchstat_cli.torch_access.restoring import untouched

WARM_UP = 2  # runs that are not counted
REPEATS = 5  # runs that are


def time_modules(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], *, training: bool = False
) -> dict[str, float]:
    """Seconds that each module takes itself, its children not included, by path; they sum to the whole forward.

    Args:
        model: a module with real tensors; left as it was.
        args, kwargs: real inputs on its device.
        training: train mode instead of eval.
    """
    return with_gradients_as_needed(lambda gradients: _timed(model, args, kwargs, training, gradients))


def _timed(
    model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], training: bool, gradients: Gradients
) -> dict[str, float]:
    runs: list[dict[str, float]] = []
    with one_guest_at_a_time(), held_back(), ExitStack() as stack:
        stack.enter_context(untouched_generators())
        inputs: list[Any] = [args, kwargs]
        copy_state(stack.enter_context(untouched(modules_of(model), [inputs])))
        args, kwargs = inputs
        set_training(model, training)
        stack.enter_context(gradients.mode())
        clocks = _Clocks(find_sites(model))
        stack.enter_context(let_through())
        for _ in range(WARM_UP + REPEATS):
            clocks.own.clear()
            model(*args, **kwargs)
            runs.append(dict(clocks.own))
    counted = runs[WARM_UP:]
    return {path: median(run.get(path, 0.0) for run in counted) for path in counted[0]}


class _Clocks:
    """Hooks that measure the time between entering and leaving each module."""

    def __init__(self, sites: tuple[Site, ...]) -> None:
        self.own: dict[str, float] = {}  # seconds by path, children excluded
        self._open: list[list[float]] = []  # start, and the time of the children so far
        for site in sites:
            if site.takes_hooks:
                self._watch(site)

    def _watch(self, site: Site) -> None:
        def enter(module: nn.Module, args: Any) -> None:
            _synchronise()
            self._open.append([perf_counter(), 0.0])

        def leave(module: nn.Module, args: Any, output: Any) -> None:
            _synchronise()
            start, below = self._open.pop()
            whole = perf_counter() - start
            self.own[site.path] = self.own.get(site.path, 0.0) + whole - below
            if self._open:
                self._open[-1][1] += whole

        site.module.register_forward_pre_hook(enter, prepend=True)
        site.module.register_forward_hook(leave)


def _synchronise() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    elif torch.backends.mps.is_available():
        torch.mps.synchronize()
