"""What ms.profile() costs on meta in a warm process, against the bare meta forward (CPU time)."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import torch

import torchstat_cli as ms
from benchmarks.figures import Figure, Settings
from benchmarks.subjects import Subject, overhead_subjects
from benchmarks.timing import interleave, median_ratio

_GOAL = 0.35


def figures(settings: Settings) -> Iterator[Figure]:
    """One ratio per model, records and totals included, everything that both sides can keep between runs kept."""
    for subject in overhead_subjects():
        yield _overhead(subject, settings.rounds)


def _overhead(subject: Subject, rounds: int) -> Figure:
    model, inputs = subject.model("meta"), subject.inputs("meta")

    def bare() -> None:
        with torch.inference_mode():
            model(*inputs)

    seconds = interleave({"bare": bare, "profile": lambda: ms.profile(model, *inputs)}, rounds, warm_up=2)
    details = " against ".join(f"{1e3 * statistics.median(seconds[name]):.1f} ms" for name in ("profile", "bare"))
    ratio = median_ratio(seconds["profile"], seconds["bare"])
    return Figure(f"{subject.library} {subject.name}", ratio, "x", _GOAL, details=details)
