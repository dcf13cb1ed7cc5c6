"""Measure side by side: interleaved rounds in one process, and whole processes with their peak memory."""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Seconds = tuple[float, ...]
"""One duration per round."""


@dataclass(frozen=True, slots=True)
class ProcessRun:
    """One process from its start to its end."""

    wall_s: float
    cpu_s: float  # user and system time
    peak_bytes: int  # largest resident set
    output: str  # standard output


class ProcessFailedError(RuntimeError):
    """A measured process did not end well."""


def interleave(
    actions: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    warm_up: int = 1,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, Seconds]:
    """Seconds of each action in each round; every round runs all of them, so that drift hits all alike.

    CPU time is the default: on a shared machine the wall moves with the neighbours. Garbage is collected before
    each measurement, so that no action pays for another's leftovers; during one the collector works as in any process.

    Args:
        actions: what to run, by name.
        rounds: how often each is measured.
        warm_up: runs of each before the first measured round.
        clock: seconds, as ``time.process_time`` or ``time.perf_counter``.

    Raises:
        ValueError: ``rounds`` is not positive.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    for action in actions.values():
        for _ in range(warm_up):
            action()
    measured: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            measured[name].append(_seconds(action, clock))
    return {name: tuple(seconds) for name, seconds in measured.items()}


def _seconds(action: Callable[[], object], clock: Callable[[], float]) -> float:
    gc.collect()
    start = clock()
    action()
    return clock() - start


def median_ratio(subject: Sequence[float], baseline: Sequence[float]) -> float:
    """The median over rounds of ``subject / baseline``; each round compares neighbours in time.

    Raises:
        ValueError: the two have different numbers of rounds, or none.
    """
    return statistics.median(part / whole for part, whole in zip(subject, baseline, strict=True))


def run_process(command: Sequence[str]) -> ProcessRun:
    """Run ``command`` to its end.

    The peak is the operating system's. A child starts with its parent's peak on Linux, so call this from a process that
    is small itself.

    Raises:
        ProcessFailedError: the process ended with another status than 0; carries the end of what it wrote.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode != 0:
            last = errors.read().strip()[-1000:]
            raise ProcessFailedError(f"{' '.join(command)} ended with status {process.returncode}: {last}")
        scale = 1 if sys.platform == "darwin" else 1024  # macOS reports bytes, Linux KiB
        return ProcessRun(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * scale, output.read())


def interleave_processes(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, list[ProcessRun]]:
    """Every command once per round, after one round that fills the file cache.

    Raises:
        ProcessFailedError: a process ended with another status than 0.
    """
    runs: dict[str, list[ProcessRun]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            run = run_process(command)
            if number > 0:
                runs[name].append(run)
    return runs
