"""What a worker process does with one model of a sweep."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import Any

from torchstat_cli.errors import ModelstatError, UsageError
from torchstat_cli.foreign_text import one_line
from torchstat_cli.records import SWEEP_NUMBERS, Profile, Status, SweepRow, SweepTask
from torchstat_cli.units import format_shape


@dataclass(frozen=True)
class SweepSettings:
    """How every model of a sweep is measured."""

    inputs: tuple[str, ...] = ()  # specs of dummy inputs; none: each model's own example
    arguments: tuple[str, ...] = ()  # of every factory: "depth=12"
    dtype: str | None = None
    mode: str = "eval"
    memory: bool = False
    attention: str = "auto"
    online: bool = False

    def check(self) -> None:
        """Refuse what no model could be measured with, before any is.

        Raises:
            ModelstatError: an input, an argument or a dtype that cannot be.
        """
        from torchstat_cli.loading import parse_arguments, written_inputs
        from torchstat_cli.tasks.settings import floating_dtype

        written_inputs(self.inputs, None)
        parse_arguments(self.arguments)
        if self.dtype:
            floating_dtype(self.dtype)

    def as_record(self) -> dict[str, Any]:
        """As a file holds it."""
        return {
            "inputs": list(self.inputs),
            "arguments": list(self.arguments),
            "dtype": self.dtype,
            "mode": self.mode,
            "memory": self.memory,
            "attention": self.attention,
        }


def prepare(limit: int | None) -> None:
    """Make a worker ready: torch, and the most bytes that it may allocate.

    Raises:
        UsageError: this system has no such limit.
    """
    import torchstat_cli.tasks.profile  # noqa: F401  # the import is the work

    if limit is not None:
        set_memory_limit(limit)


def set_memory_limit(nbytes: int) -> None:
    """Let the allocations of this process fail beyond ``nbytes``.

    Raises:
        UsageError: this system has no such limit.
    """
    if hasattr(os, "fork"):  # where there are processes of that kind, they have limits
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (nbytes, most))
    else:
        raise UsageError("this system cannot limit the memory of a process", "leave --memory-limit out")


def measuring(settings: SweepSettings) -> partial[SweepRow]:
    """The function of a worker, which travels to its process."""
    return partial(measure_row, settings)


def measure_row(settings: SweepSettings, task: SweepTask) -> SweepRow:
    """The row of one model; what keeps it from being measured is a row too."""
    try:
        return _row(task, _profile(settings, task))
    except ModelstatError as error:
        return failed_row(task, error)
    except MemoryError:
        return SweepRow(task.model, task.variant, "failed", "out of memory: allow more with --memory-limit")


def failed_row(task: SweepTask, error: ModelstatError) -> SweepRow:
    """The row of a model that could not be measured."""
    status: Status = getattr(error, "ending", "failed")
    remedy = f" ({error.hint})" if error.hint else ""
    return SweepRow(task.model, task.variant, status, one_line(f"{error.message}{remedy}"))


def _profile(settings: SweepSettings, task: SweepTask) -> Profile:
    from torchstat_cli.loading import parse_arguments, written_inputs
    from torchstat_cli.tasks.axes import spec_of
    from torchstat_cli.tasks.profile import measure
    from torchstat_cli.tasks.settings import Settings, floating_dtype
    from torchstat_cli.tasks.sweep.variants import arguments_of, resizes, sized

    how = Settings(
        dtype=floating_dtype(settings.dtype) if settings.dtype else None,
        mode=settings.mode,  # type: ignore[arg-type]  # the command checked it
        memory=settings.memory,
        attention=settings.attention,
    )
    given = written_inputs(settings.inputs, None)
    arguments = {**parse_arguments(settings.arguments), **arguments_of(task.variant)}
    assert given is None or isinstance(given, tuple)  # there is no factory of ready inputs
    if given is None or not resizes(task.variant):
        profile, _ = measure(task.model, given, how, arguments, online=settings.online)
        if not resizes(task.variant):
            return profile
        given = tuple(map(spec_of, profile.provenance.inputs))
    return measure(task.model, sized(given, task.variant), how, arguments, online=settings.online)[0]


def _row(task: SweepTask, profile: Profile) -> SweepRow:
    total, origin = profile.total, profile.provenance
    return SweepRow(
        model=task.model,
        variant=task.variant,
        status="ok",
        kind=origin.class_name,
        input="; ".join(format_shape(record.shape) for record in origin.inputs),
        placement=origin.placement,
        lower_bound=total.lower_bound,
        numbers={name: getattr(total, name) for name in SWEEP_NUMBERS},
    )
