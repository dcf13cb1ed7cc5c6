"""Ask torch's own allocator for the peak of a real run."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

_CPU = 0  # torch's number of the device type


def allocator_peak(run: Callable[[], None], device: torch.device, held: int) -> int | None:
    """Most bytes of tensors that were allocated at once while ``run`` ran.

    Args:
        run: what to run.
        device: where; None is returned for devices whose allocator cannot be asked.
        held: bytes of parameters, buffers and inputs, which exist before.
    """
    if device.type == "cuda":
        return _cuda_peak(run, device, held)
    return held + cpu_changes(run)[0] if device.type == "cpu" else None


def _cuda_peak(run: Callable[[], None], device: torch.device, held: int) -> int:
    run()  # handles and workspaces of the libraries are made by the first run and stay
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    run()
    torch.cuda.synchronize(device)
    return held + torch.cuda.max_memory_allocated(device) - before


def cpu_changes(run: Callable[[], object]) -> tuple[int, int]:
    """Bytes that the CPU's allocator gave out while ``run`` ran: the most at once, and those still held at its end."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    live = peak = 0
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(trace))
        events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    changes = [event for event in events if event.get("name") == "[memory]" and event["args"]["Device Type"] == _CPU]
    for event in sorted(changes, key=lambda event: event["ts"]):
        live += event["args"]["Bytes"]
        peak = max(peak, live)
    return peak, live
