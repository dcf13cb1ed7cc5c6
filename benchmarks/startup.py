"""How long the command takes to start, against importing torch (whole processes)."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator

from benchmarks.figures import Figure, Settings
from benchmarks.timing import ProcessRun, interleave_processes, median_ratio

_MODELSTAT = (sys.executable, "-m", "torchstat_cli")
_IMPORT_TORCH = "python -c 'import torch'"
_GOALS = {"modelstat --help": 0.25, "modelstat resnet18": 1.5}
_COMMANDS = {
    _IMPORT_TORCH: (sys.executable, "-c", "import torch"),
    "modelstat --help": (*_MODELSTAT, "--help"),
    "modelstat resnet18": (*_MODELSTAT, "sample_models.resnet:resnet18"),
}


def figures(settings: Settings) -> Iterator[Figure]:
    """Ratios of wall time and of CPU time; the goal is for the wall."""
    runs = interleave_processes(_COMMANDS, settings.rounds)
    for name, goal in _GOALS.items():
        yield _ratio(name, [run.wall_s for run in runs[name]], _walls(runs[_IMPORT_TORCH]), goal)
    for name in _GOALS:
        cpu = [run.cpu_s for run in runs[name]]
        yield _ratio(f"{name}, CPU time", cpu, [run.cpu_s for run in runs[_IMPORT_TORCH]], None)


def _walls(runs: list[ProcessRun]) -> list[float]:
    return [run.wall_s for run in runs]


def _ratio(subject: str, seconds: list[float], baseline: list[float], goal: float | None) -> Figure:
    details = f"{statistics.median(seconds):.2f} s, import torch {statistics.median(baseline):.2f} s"
    return Figure(subject, median_ratio(seconds, baseline), "x", goal, details=details)
