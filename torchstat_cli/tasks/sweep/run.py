"""Measure many models in worker processes; one that fails is a row of its own, and the others go on."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torchstat_cli.errors import ModelstatError, UsageError
from torchstat_cli.gate.workers import Work, run_tasks
from torchstat_cli.records import RULES, SweepResult, SweepRow, SweepTask
from torchstat_cli.tasks.sweep.ledger import Ledger
from torchstat_cli.tasks.sweep.measuring import SweepSettings, failed_row, measuring, prepare
from torchstat_cli.version import __version__


@dataclass(frozen=True)
class SweepRequest:
    """What a sweep may take."""

    jobs: int | None = None  # worker processes; None: one per processor, at most eight
    timeout: float | None = None  # seconds for one model
    memory_limit: int | None = None  # bytes that one worker may allocate

    def __post_init__(self) -> None:
        for name, value in (("jobs", self.jobs), ("timeout", self.timeout), ("memory_limit", self.memory_limit)):
            if value is not None and not value > 0:
                raise UsageError(f"{name}={value} is too small", "give a number above 0, or leave it out")


def run_sweep(
    tasks: Sequence[SweepTask],
    settings: SweepSettings,
    request: SweepRequest,
    ledger: Ledger | None = None,
    done: Callable[[str], None] = lambda model: None,
) -> SweepResult:
    """The row of every task, in order.

    Args:
        tasks: models and variants, each once.
        settings: how they are measured.
        request: what the run may take.
        ledger: rows that are done already, and where the others are noted as soon as they are; None keeps nothing.
        done: called with the model of every row.

    Raises:
        OutputError: the ledger cannot be written.
    """
    found: dict[object, SweepRow] = {} if ledger is None else dict(ledger.rows)
    waiting = [task for task in tasks if task.key not in found]
    for task in tasks:
        if task.key in found:
            done(task.model)

    def received(index: int, outcome: SweepRow | ModelstatError) -> None:
        task = waiting[index]
        row = failed_row(task, outcome) if isinstance(outcome, ModelstatError) else outcome
        found[row.key] = row
        if ledger is not None:
            ledger.add(row)
        done(task.model)

    work = Work(measuring(settings), partial(prepare, request.memory_limit), request.jobs, request.timeout)
    run_tasks(work, waiting, received)
    return SweepResult(
        rows=tuple(found[task.key] for task in tasks),
        varied=tuple(tasks[0].variant) if tasks else (),
        settings=recorded(settings),
    )


def recorded(settings: SweepSettings) -> dict[str, Any]:
    """What the numbers of a sweep depend on, as a file holds it."""
    torch = importlib.metadata.version("torch").partition("+")[0]
    return {**settings.as_record(), "version": __version__, "torch": torch, "rules": RULES}
