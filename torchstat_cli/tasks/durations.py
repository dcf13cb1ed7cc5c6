"""Add the wall time of each module to a profile."""

from __future__ import annotations

from dataclasses import replace

from torchstat_cli.capture.timing import time_modules
from torchstat_cli.records import Profile
from torchstat_cli.tasks.rungs import Rung
from torchstat_cli.tasks.settings import Settings


def with_durations(profile: Profile, rung: Rung, settings: Settings) -> Profile:
    """The same profile with each row's own wall time; they sum to the total."""
    training = settings.mode == "train"
    seconds = time_modules(rung.model, rung.inputs.args, rung.inputs.kwargs, training=training)
    rows = tuple(row._replace(duration_s=seconds.get(row.path, 0.0)) for row in profile.rows)
    # A container without a row of its own takes time too, in Python between its children: it gets a row.
    known = {row.path for row in rows}
    late = (row for row in profile.containers if row.path in seconds)
    rows = (*rows, *(row._replace(duration_s=seconds[row.path]) for row in late if row.path not in known))
    return replace(
        profile,
        rows=rows,
        containers=tuple(row for row in profile.containers if row.path not in seconds),
        total=replace(profile.total, duration_s=sum(row.duration_s or 0.0 for row in rows)),
    )
