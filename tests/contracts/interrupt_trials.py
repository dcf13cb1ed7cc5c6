"""Interrupt one public call at random moments, each time in a process forked from this one, and print what leaked.

Run as ``python -m tests.contracts.interrupt_trials CALL TRIALS``. A process of its own, because whoever ran many tests
has a large heap, and every forked process that collects garbage would copy it.
"""

from __future__ import annotations

import gc
import json
import os
import random
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

import torchstat_cli as ms
from torchstat_cli.torch_access.internals import HigherOrderOperator

DEADLINE = 20  # seconds
ROWS = torch.linspace(-1, 1, 32).reshape(4, 8)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU()) for _ in range(8))
        self.cache: dict[str, Any] = {"seen": []}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = x + layer(x)
        self.cache["seen"].append(x)
        return x


def instrument(model: nn.Module) -> None:
    with ms.instrument(model), torch.no_grad():
        model(ROWS)
    model.cache["seen"].clear()  # type: ignore[union-attr]  # the user's own run


def observe(model: nn.Module) -> None:
    with torch.no_grad(), ms.observe(model, ["layers.3"]):
        model(ROWS)
    model.cache["seen"].clear()  # type: ignore[union-attr]


def intermediate(model: nn.Module) -> None:
    with torch.no_grad(), ms.IntermediateExtractor(model, ["layers.1", "layers.5"]):
        model(ROWS)
    model.cache["seen"].clear()  # type: ignore[union-attr]


CALLS: dict[str, Callable[[nn.Module], Any]] = {
    "profile": lambda model: ms.profile(model, ROWS),
    "training": lambda model: ms.profile(model, ROWS, train=True, mode="train"),
    "memory": lambda model: ms.profile(model, ROWS, memory=True),
    "cpu": lambda model: ms.profile(model, ROWS, device="cpu"),
    "spec": lambda model: ms.profile("sample_models.mlp:mlp"),
    "load_model": lambda model: ms.load_model("sample_models.mlp:mlp"),
    "instrument": instrument,
    "observe": observe,
    "intermediate": intermediate,
    "graph extractor": lambda model: ms.create_feature_extractor(model, ["layers.2"], engine="fx"),
    "nodes": lambda model: ms.get_graph_node_names(model, engine="runtime", example_inputs=ROWS),
}


def state_of(model: nn.Module) -> dict[str, Any]:
    """All that a leak would change; the caches of the user's own runs are left out."""
    owners = [torch, torch.Tensor, nn.Module, nn.functional, torch.UntypedStorage, HigherOrderOperator, torch.amp]
    modules = dict(model.named_modules())
    return {
        "functions": [dict(vars(owner)) for owner in owners],
        "modes": torch._C._len_torch_dispatch_stack(),
        "function modes": len(torch.overrides._get_current_function_mode_stack()),
        "fast path": torch.backends.mha.get_fastpath_enabled(),
        "streams": (sys.stdout, sys.stderr),
        "path": list(sys.path),
        "collector": gc.isenabled(),
        "parameters": [(name, id(p), p.device.type) for name, p in model.named_parameters()],
        "buffers": [(name, id(b), b.tolist()) for name, b in model.named_buffers()],
        "hooks": {path: [len(v) for k, v in vars(m).items() if "hooks" in k] for path, m in modules.items()},
        "attributes": {path: list(vars(m)) for path, m in modules.items()},
        "training": [m.training for m in modules.values()],
        "signals": signal.getsignal(signal.SIGINT),
    }


def interrupted(call: Callable[[nn.Module], Any], delay: float) -> str:
    """What differs in a forked process after an interrupt that long after the start; "missed" if it came too late."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        outcome = "missed"
        try:
            os.close(read)
            model = Net().eval()
            before = state_of(model)
            hit = []

            def interrupt(number: int, frame: Any) -> None:
                hit.append(number)
                raise KeyboardInterrupt

            signal.signal(signal.SIGALRM, interrupt)
            try:  # a context manager of Python's own could be interrupted on its way out
                signal.setitimer(signal.ITIMER_REAL, delay)
                call(model)
                signal.setitimer(signal.ITIMER_REAL, 0)
                time.sleep(0.01)  # one that was put off comes now
            except KeyboardInterrupt:
                pass
            signal.setitimer(signal.ITIMER_REAL, 0)
            if hit:
                gc.collect()
                after = state_of(model)
                outcome = ", ".join(key for key in before if before[key] != after[key]) or "clean"
                with torch.no_grad():
                    model(ROWS)
        except BaseException:
            outcome = f"raised {traceback.format_exc()[-300:]}"
        os.write(write, outcome.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        ended, _, _ = select.select([pipe], [], [], DEADLINE)
        if not ended:
            os.kill(child, signal.SIGKILL)
        outcome = pipe.read() if ended else "hung"
    os.waitpid(child, 0)
    return outcome


def outcomes(name: str, trials: int) -> list[str]:
    """What ``trials`` interrupts into the call led to, with those that came too late."""
    torch.set_num_threads(1)
    call, model = CALLS[name], Net().eval()
    call(model)
    start = time.perf_counter()
    call(model)
    duration = time.perf_counter() - start
    gc.collect()
    gc.freeze()  # what is there now is no concern of a forked process that collects
    moments = random.Random(name)
    found: list[str] = []
    for _ in range(10 * trials):
        found.append(interrupted(call, max(1e-5, moments.uniform(0, 1.2) * duration)))
        if len(found) - found.count("missed") >= trials:
            break
    return found


if __name__ == "__main__":
    print(json.dumps(outcomes(sys.argv[1], int(sys.argv[2]))))
