"""What a report for people says below its table: totals, conventions, and everything that limits their meaning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torchstat_cli.records import (
    GenerationProfile,
    InputRecord,
    MemoryProfile,
    Profile,
    Provenance,
    Share,
    Totals,
    TrainingProfile,
    UnknownOperator,
)
from torchstat_cli.report.profile.cells import ROOT
from torchstat_cli.report.profile.view import Units
from torchstat_cli.report.width import printable
from torchstat_cli.units import format_bytes, format_count, format_seconds, format_shape

_HOLDERS = 3
"""How many of the largest holders at the peak the summary names."""

_PLURALS = {
    "parameter": "parameters",
    "buffer": "buffers",
    "input": "inputs",
    "activation": "activations",
    "temporary": "temporaries",
    "gradient": "gradients",
    "optimizer": "optimizer state",
}

Label = str
Phrases = tuple[str, ...]

_NAMES_SHOWN = 6


@dataclass(frozen=True, slots=True)
class Note:
    """One labelled statement."""

    label: str
    phrases: tuple[str, ...]  # a line may break between them, not within
    is_warning: bool = False  # the numbers mean less than they seem to

    @property
    def text(self) -> str:
        """The statement as one line."""
        return ", ".join(self.phrases)


def summarize(profile: Profile, units: Units) -> tuple[Note, ...]:
    """Everything worth saying about ``profile`` as a whole, warnings last."""
    return (*_costs(profile.total, units), *_observed(profile, units), *_origin(profile), *_limits(profile))


def _costs(total: Totals, units: Units) -> list[Note]:
    count = format_count if units == "auto" else str
    size = format_bytes if units == "auto" else _raw_bytes
    bound = "≥" if total.lower_bound else ""
    frozen = total.params - total.trainable_params
    trainable = (
        ("all trainable",) if not frozen else (f"{count(total.trainable_params)} trainable", f"{count(frozen)} frozen")
    )
    moved = total.mem_read + total.mem_write
    notes = [
        Note("params", (count(total.params), *(trainable if total.params else ()), size(total.param_bytes))),
        Note("buffers", (count(total.buffers), *((size(total.buffer_bytes),) if total.buffers else ()))),
        Note("MAdds", (bound + count(total.madds),)),
        Note("FLOPs", (bound + count(total.flops),)),
        Note("memory", (f"{size(total.memory)} of outputs",)),
        Note("traffic", (size(moved), f"{size(total.mem_read)} read", f"{size(total.mem_write)} written")),
        Note("intensity", (f"{bound}{total.intensity:.2f} FLOP/byte",)),
    ]
    if total.duration_s is not None:
        notes.append(
            Note("duration", (format_seconds(total.duration_s) if units == "auto" else f"{total.duration_s} s",))
        )
    return notes


def _observed(profile: Profile, units: Units) -> list[Note]:
    """What only some runs look at: live memory, a training step."""
    raw = units == "raw"
    told = training_phrases(profile.training, raw) if profile.training is not None else []
    if profile.generation is not None:
        told = [*told, *generation_phrases(profile.generation, raw)]
    if profile.memory is not None:
        told = [*told, *memory_phrases(profile.memory, raw)]
    elif profile.total.peak is not None:  # of a saved report
        peak = _raw_bytes(profile.total.peak) if raw else format_bytes(profile.total.peak)
        told = [*told, ("peak", (f"{peak} of tensor memory",))]
    return [Note(label, phrases) for label, phrases in told]


def _raw_bytes(value: int) -> str:
    return f"{value} B"


def _origin(profile: Profile) -> list[Note]:
    origin = profile.provenance
    resolved = f"{printable(origin.resolved)} ({printable(origin.class_name)})"
    renamed = origin.spec is not None and origin.spec != origin.resolved
    notes = [
        Note("model", (f"{printable(origin.spec or '')} → {resolved}" if renamed else resolved,)),
        Note("input", tuple(map(_input, origin.inputs)) or ("none",)),
        Note("run", (f"on {origin.placement}", f"{origin.mode} mode", *_attention(origin), f"torch {origin.torch}")),
        Note("convention", ("1 MAdd = 2 FLOPs", "nothing fused", f"counting rules {origin.rules}")),
    ]
    return notes + [Note("assumed", (printable(assumption),)) for assumption in origin.assumptions]


def _attention(origin: Provenance) -> tuple[str, ...]:
    return (f"attention {origin.attention}",) if origin.attention != "auto" else ()


def _input(record: InputRecord) -> str:
    name = f"{printable(record.name)}: " if record.name is not None else ""
    return f"{name}{format_shape(record.shape)} {record.dtype}"


def _limits(profile: Profile) -> list[Note]:
    notes = []
    if profile.never_called:
        notes.append(Note("never called", _some(profile.never_called)))
    notes.extend(Note("lower bound", (_no_formula(unknown),), is_warning=True) for unknown in profile.unknown)
    return notes


def _no_formula(unknown: UnknownOperator) -> str:
    calls = f"{unknown.calls} call{'' if unknown.calls == 1 else 's'}"
    where = f", in {', '.join(_some(unknown.paths))}" if unknown.paths else ""
    return f"no formula for {printable(unknown.op)} ({calls}{where})"


def _some(paths: Sequence[str]) -> tuple[str, ...]:
    """The first of ``paths``, and how many more there are."""
    shown = tuple(printable(path) or ROOT for path in paths[:_NAMES_SHOWN])
    more = len(paths) - len(shown)
    return (*shown, f"and {more} more") if more else shown


def memory_phrases(memory: MemoryProfile, raw: bool) -> list[tuple[Label, Phrases]]:
    """The peak: how high, where, and what is alive there."""
    size = _raw_bytes if raw else format_bytes
    where = f"at {memory.peak.op or 'the start'} in {memory.peak.path or '(root)'}"
    several = len(memory.phases) > 1
    when = (f"{memory.phase} of step {memory.step}",) if several else ()
    held = [(kind, nbytes) for kind, nbytes in memory.at_peak().items() if nbytes]
    notes: list[tuple[Label, Phrases]] = [
        ("peak", (f"{size(memory.peak.total)} of tensor memory", where, *when)),
        ("at the peak", tuple(f"{size(nbytes)} {_PLURALS[kind]}" for kind, nbytes in held)),
        ("most of it", tuple(_share(part, size) for part in memory.largest[:_HOLDERS])),
    ]
    if several:
        told = (f"step {part.step} {part.phase} {size(part.nbytes)}" for part in memory.phases)
        notes.append(("peaks", tuple(told)))
    if memory.measured is not None:
        notes.append(("measured", _measured(memory, memory.measured, size)))
    notes.append(("not in it", ("allocator rounding and fragmentation", "kernel workspaces", "the device context")))
    return notes


def training_phrases(training: TrainingProfile, raw: bool) -> list[tuple[Label, Phrases]]:
    """The step: with what, and what each phase costs."""
    count: Callable[[int], str] = str if raw else format_count
    setup, total = training.setup, training.total
    how = [f"optimizer {setup.optimizer}", f"loss {setup.loss}"]
    if setup.autocast is not None:
        how.append(f"autocast to {setup.autocast}")
    if setup.accumulate > 1:
        how.append(f"{setup.accumulate} passes per step")
    cost = (
        f"forward {count(total.forward_flops)} FLOPs",
        f"backward {count(total.backward_flops)}",
        f"optimizer {count(total.optimizer_flops)}",
    )
    whole = (f"first {count(total.step1_flops)} FLOPs", f"second {count(total.step2_flops)}, which the table shows")
    return [("training", tuple(how)), ("phases", cost), ("steps", whole)]


def generation_phrases(generation: GenerationProfile, raw: bool) -> list[tuple[Label, Phrases]]:
    """Prefill and decoding, and the cache."""
    count: Callable[[int], str] = str if raw else format_count
    size = _raw_bytes if raw else format_bytes
    asked = (
        f"prompt of {generation.prompt} tokens, which the table shows",
        f"{generation.new} new",
        f"batch {generation.batch}",
    )
    parts = tuple(
        f"{part.name} {count(part.flops)} FLOPs and {size(part.mem_read + part.mem_write)} of traffic"
        for part in generation.parts
    )
    tokens = generation.batch * (generation.prompt + generation.new - 1)
    per_token = f"{size(generation.cache_bytes // tokens)} per token"
    return [
        ("generation", asked),
        ("cost", parts),
        ("kv cache", (f"{size(generation.cache_bytes)} at the end", per_token)),
    ]


def _share(part: Share, size: Callable[[int], str]) -> str:
    return f"{size(part.nbytes)} {_PLURALS[part.kind]} of {part.path or '(root)'}"


def _measured(memory: MemoryProfile, measured: int, size: Callable[[int], str]) -> Phrases:
    difference = 100 * (memory.peak.total - measured) / measured if measured else 0.0
    return (f"{size(measured)} by the allocator", f"the simulation is {difference:+.2f} % off")
