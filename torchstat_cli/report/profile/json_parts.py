"""The parts of a JSON report that only some have: experts, memory, training, generation, an attention backend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from torchstat_cli.records import (
    CLASSES,
    NOT_MODELLED,
    GenerationProfile,
    MemoryProfile,
    Moment,
    Profile,
    TrainingProfile,
    costs_of,
)

_MOMENTS = 1000
"""A longer timeline is thinned: of each stretch of operators its highest moment, so that peaks stay."""


def observed(profile: Profile) -> dict[str, Any]:
    """``precision``, ``experts``, ``attention``, ``memory``, ``training``, ``generation``, where there are any."""
    parts: dict[str, Any] = {}
    if profile.precision is not None:
        found = profile.precision
        parts["precision"] = {"params": dict(found.params), "compute": dict(found.compute)}
    if profile.mixtures:
        parts["experts"] = [asdict(mixture) for mixture in profile.mixtures]
    if profile.provenance.attention != "auto":
        parts["attention"] = profile.provenance.attention
    if profile.memory is not None:
        parts["memory"] = _memory(profile.memory)
    if profile.training is not None:
        parts["training"] = _training(profile.training)
    if profile.generation is not None:
        parts["generation"] = _generation(profile.generation)
    return parts


def thinned(timeline: Sequence[Moment], most: int = _MOMENTS) -> list[Moment]:
    """At most ``most`` moments of ``timeline``: of each stretch the highest, in order."""
    stretch = -(-len(timeline) // most) if timeline else 1
    stretches = (timeline[start : start + stretch] for start in range(0, len(timeline), stretch))
    return [max(part, key=lambda moment: moment.total) for part in stretches]


def _memory(memory: MemoryProfile) -> dict[str, Any]:
    return {
        "peak": memory.peak.total,
        "at": {"module": memory.peak.path, "op": memory.peak.op, "step": memory.step, "phase": memory.phase},
        "by_class": dict(memory.at_peak()),
        "phases": [{"step": part.step, "phase": part.phase, "peak": part.nbytes} for part in memory.phases],
        "largest": [{"module": part.path, "class": part.kind, "bytes": part.nbytes} for part in memory.largest],
        "measured": memory.measured,
        "attention": memory.attention,
        "not_modelled": list(NOT_MODELLED),
        "timeline": {
            "columns": ["index", *CLASSES, "module", "op"],
            "moments": [[m.index, *m.live, m.path, m.op] for m in thinned(memory.timeline)],
            "of": len(memory.timeline),
        },
    }


def _training(training: TrainingProfile) -> dict[str, Any]:
    setup = training.setup
    return {
        "optimizer": setup.optimizer,
        "loss": setup.loss,
        "autocast": setup.autocast,
        "accumulate": setup.accumulate,
        "phases": [{"step": part.step, "phase": part.phase, **costs_of(part)} for part in training.phases],
    }


def _generation(generation: GenerationProfile) -> dict[str, Any]:
    return {
        "prompt": generation.prompt,
        "new": generation.new,
        "batch": generation.batch,
        "cache_bytes": generation.cache_bytes,
        "observed_steps": generation.observed,
        "parts": [{"name": part.name, "steps": part.steps, **costs_of(part)} for part in generation.parts],
    }
