"""Measure what the gate checks: all models in worker processes, or one of them right here.

torch is imported by the functions that run a model, so that the process which only decides stays light.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torchstat_cli.errors import ConfigError, ModelError
from torchstat_cli.gate.baseline.json import LARGEST
from torchstat_cli.gate.config import ModelEntry
from torchstat_cli.gate.metrics import metric_totals
from torchstat_cli.gate.run import Outcomes
from torchstat_cli.gate.workers import Work, run_tasks
from torchstat_cli.records import Profile


def measure_entries(
    entries: Sequence[ModelEntry],
    *,
    jobs: int | None = None,
    timeout: float | None = None,
    done: Callable[[str], None] = lambda name: None,
) -> Outcomes:
    """The profile of every model by name, or the error that took its place.

    Args:
        entries: what to measure.
        jobs: worker processes; None: one per processor, at most eight.
        timeout: seconds for one model; None: no limit.
        done: called with the name of every model that ended.
    """
    work = Work(measure_entry, _import_torch, jobs, timeout)
    outcomes = run_tasks(work, entries, lambda index, _: done(entries[index].name))
    return {entry.name: outcome for entry, outcome in zip(entries, outcomes, strict=True)}


def _import_torch() -> None:
    import torchstat_cli.tasks.profile  # noqa: F401  # the import is the work


def measure_entry(entry: ModelEntry) -> Profile:
    """The profile of one model, measured in this process from the folder of its configuration.

    Raises:
        ModelstatError: the model cannot be built or run.
    """
    from torchstat_cli.loading import written_inputs
    from torchstat_cli.tasks.profile import measure
    from torchstat_cli.tasks.settings import Settings, floating_dtype

    if entry.inputs and entry.inputs_factory:
        raise ConfigError(f"{entry.name} has both input and inputs", "keep one of the two")
    with _inside(entry.directory):
        given = written_inputs(entry.inputs, entry.inputs_factory)
        dtype = floating_dtype(entry.dtype) if entry.dtype else None
        settings = Settings(
            mode="train" if entry.mode == "train" else "eval",
            dtype=dtype,
            memory=entry.needs_peak,
            attention=entry.attention,
        )
        profile, _ = measure(entry.spec, given, settings, entry.arguments)
    return _recordable(profile)


def measure_live(model: Any, inputs: tuple[Any, ...]) -> Profile:
    """The profile of a module that somebody built already, called with ``inputs``.

    Raises:
        ModelstatError: the module cannot be run.
    """
    from torchstat_cli.loading import as_inputs
    from torchstat_cli.tasks.profile import measure
    from torchstat_cli.tasks.settings import Settings

    profile, _ = measure(model, as_inputs(inputs), Settings())
    return _recordable(profile)


def _recordable(profile: Profile) -> Profile:
    """The profile, whose numbers a baseline can hold.

    Raises:
        ModelError: one is too large.
    """
    for metric, number in metric_totals(profile.total).items():
        if number > LARGEST:
            raise ModelError(f"its {metric} are {number}, more than a baseline holds (2^63 - 1)", "use a smaller input")
    return profile


@contextmanager
def _inside(directory: str) -> Iterator[None]:
    """Work in ``directory``, where specs and relative paths of a configuration start."""
    before = os.getcwd()
    os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)
