"""What a report for people says below its table: totals, conventions, and everything that limits their meaning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from torchstat_cli.foreign_text import printable
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
    moved_bytes,
)
from torchstat_cli.records.precision import Precision
from torchstat_cli.report.names import shown_path
from torchstat_cli.report.profile.amounts import Units, count_text, size_text
from torchstat_cli.report.profile.folding import Run
from torchstat_cli.units import format_seconds, format_shape, format_share

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

_NAMES_SHOWN = 6
_RUNS = 6
"""How many runs of equal modules the summary describes."""


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


def summarize(profile: Profile, units: Units, runs: Sequence[Run] = ()) -> tuple[Note, ...]:
    """Everything worth saying about ``profile`` as a whole, warnings last; ``runs`` are what its rows show as one."""
    params, *costs = _costs(profile.total, units)
    return (
        replace(params, phrases=(*params.phrases, *_dtypes(profile.precision))),
        *_experts(profile, units),
        *costs,
        *_observed(profile, units),
        *_origin(profile),
        *_folded(runs, units),
        *_limits(profile),
    )


def _dtypes(precision: Precision | None) -> tuple[str, ...]:
    """The dtypes of the parameters, and those of the products where they are others."""
    if precision is None:
        return ()
    kept = _by_share(precision.params)
    computed = _by_share(precision.compute)
    differs = set(precision.compute) != {dtype for dtype, elements in precision.params.items() if elements}
    return (*((kept,) if kept else ()), *((f"computed in {computed}",) if computed and differs else ()))


def _by_share(amounts: Mapping[str, int]) -> str:
    """``float32``, or where there are several ``bfloat16 (98.0 %) and float32 (2.0 %)``, the largest first."""
    there = sorted(((amount, dtype) for dtype, amount in amounts.items() if amount), reverse=True)
    whole = sum(amount for amount, _ in there)
    return " and ".join(
        printable(dtype) + (f" ({format_share(amount, whole)})" if len(there) > 1 else "") for amount, dtype in there
    )


def _experts(profile: Profile, units: Units) -> list[Note]:
    """What one token uses of a mixture of experts, and on which word that rests."""
    if profile.total.active_params is None:
        return []
    kinds = Counter((mixture.active, mixture.experts) for mixture in profile.mixtures)
    routed = tuple(
        f"{active} of {experts} experts" + (f" in {places} mixtures" if places > 1 else "")
        for (active, experts), places in kinds.items()
    )
    words = dict.fromkeys(mixture.chosen_by.partition(" of ")[0] for mixture in profile.mixtures)
    assumed = f"assuming that each token uses as many as the router's {' or '.join(words)} says"
    return [
        Note("active", (f"{count_text(profile.total.active_params, units)} per token", *routed, printable(assumed)))
    ]


def _costs(total: Totals, units: Units) -> list[Note]:
    count, size = partial(count_text, units=units), partial(size_text, units=units)
    bound = "≥" if total.lower_bound else ""
    frozen = total.params - total.trainable_params
    trainable = (
        ("all trainable",) if not frozen else (f"{count(total.trainable_params)} trainable", f"{count(frozen)} frozen")
    )
    notes = [
        Note("params", (count(total.params), *(trainable if total.params else ()), size(total.param_bytes))),
        Note("buffers", (count(total.buffers), *((size(total.buffer_bytes),) if total.buffers else ()))),
        Note("MAdds (MACs)", (bound + count(total.madds), "what papers, timm and torchvision call GFLOPs")),
        Note("FLOPs", (bound + count(total.flops),)),
        Note("memory", (f"{size(total.memory)} of outputs",)),
        Note("traffic", (size(moved_bytes(total)), f"{size(total.mem_read)} read", f"{size(total.mem_write)} written")),
        Note("intensity", (f"{bound}{total.intensity:.2f} FLOP/byte",)),
    ]
    if total.duration_s is not None:
        notes.append(
            Note("duration", (f"{total.duration_s} s" if units == "raw" else format_seconds(total.duration_s),))
        )
    return notes


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


def _folded(runs: Sequence[Run], units: Units) -> list[Note]:
    """Which rows stand for several modules, and what one of these costs."""
    count = partial(count_text, units=units)
    notes = []
    for run in runs[:_RUNS]:
        one = f"each {count(run.params)} params", f"{count(run.madds)} MAdds", f"{count(run.flops)} FLOPs"
        kind = f"{run.count} × {printable(run.type)}" if run.type else f"{run.count} equal modules"
        notes.append(Note("folded", (f"{shown_path(run.path)} is {kind}", *one)))
    more = len(runs) - _RUNS
    return notes + (
        [Note("folded", (f"{more} more run{'' if more == 1 else 's'} of equal modules",))] if more > 0 else []
    )


def _limits(profile: Profile) -> list[Note]:
    notes = []
    if profile.never_called:
        notes.append(Note("never called", _some(profile.never_called)))
    if profile.precision is not None and profile.precision.caution:
        notes.append(Note("precision", profile.precision.caution, is_warning=True))
    notes.extend(Note("lower bound", (_no_formula(unknown),), is_warning=True) for unknown in profile.unknown)
    return notes


def _no_formula(unknown: UnknownOperator) -> str:
    calls = f"{unknown.calls} call{'' if unknown.calls == 1 else 's'}"
    where = f", in {', '.join(_some(unknown.paths))}" if unknown.paths else ""
    return f"no formula for {printable(unknown.op)} ({calls}{where})"


def _some(paths: Sequence[str]) -> tuple[str, ...]:
    """The first of ``paths``, and how many more there are."""
    shown = tuple(map(shown_path, paths[:_NAMES_SHOWN]))
    more = len(paths) - len(shown)
    return (*shown, f"and {more} more") if more else shown


def _observed(profile: Profile, units: Units) -> list[Note]:
    """What only some runs look at: a training step, generated text, live memory."""
    notes: list[Note] = []
    if profile.training is not None:
        notes += _training(profile.training, units)
    if profile.generation is not None:
        notes += _generation(profile.generation, units)
    if profile.memory is not None:
        notes += memory_notes(profile.memory, units)
    elif profile.total.peak is not None:  # of a saved report
        notes.append(Note("peak", (f"{size_text(profile.total.peak, units)} of tensor memory",)))
    return notes


def peak_place(memory: MemoryProfile) -> str:
    """At which operator of which module the peak is."""
    return f"at {printable(memory.peak.op) or 'the start'} in {shown_path(memory.peak.path)}"


def memory_notes(memory: MemoryProfile, units: Units) -> list[Note]:
    """The peak: how high, where, and what is alive there."""
    size = partial(size_text, units=units)
    several = len(memory.phases) > 1
    when = (f"{memory.phase} of step {memory.step}",) if several else ()
    held = [(kind, nbytes) for kind, nbytes in memory.at_peak().items() if nbytes]
    notes = [
        Note("peak", (f"{size(memory.peak.total)} of tensor memory", peak_place(memory), *when)),
        Note("at the peak", tuple(f"{size(nbytes)} {_PLURALS[kind]}" for kind, nbytes in held)),
        Note("most of it", tuple(_share(part, size) for part in memory.largest[:_HOLDERS])),
    ]
    if several:
        peaks = (f"step {part.step} {part.phase} {size(part.nbytes)}" for part in memory.phases)
        notes.append(Note("peaks", tuple(peaks)))
    if memory.measured is not None:
        notes.append(Note("measured", _measured(memory, memory.measured, size)))
    notes.append(Note("not in it", ("allocator rounding and fragmentation", "kernel workspaces", "the device context")))
    return notes


def _training(training: TrainingProfile, units: Units) -> list[Note]:
    """The step: with what, and what each phase costs."""
    count = partial(count_text, units=units)
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
    return [Note("training", tuple(how)), Note("phases", cost), Note("steps", whole)]


def _generation(generation: GenerationProfile, units: Units) -> list[Note]:
    """Prefill and decoding, and the cache."""
    count, size = partial(count_text, units=units), partial(size_text, units=units)
    asked = (
        f"prompt of {generation.prompt} tokens, which the table shows",
        f"{generation.new} new",
        f"batch {generation.batch}",
    )
    parts = tuple(
        f"{part.name} {count(part.flops)} FLOPs and {size(moved_bytes(part))} of traffic" for part in generation.parts
    )
    tokens = generation.batch * (generation.prompt + generation.new - 1)
    per_token = f"{size(generation.cache_bytes // tokens)} per token"
    return [
        Note("generation", asked),
        Note("cost", parts),
        Note("kv cache", (f"{size(generation.cache_bytes)} at the end", per_token)),
    ]


def _share(part: Share, size: Callable[[int], str]) -> str:
    return f"{size(part.nbytes)} {_PLURALS[part.kind]} of {shown_path(part.path)}"


def _measured(memory: MemoryProfile, measured: int, size: Callable[[int], str]) -> tuple[str, ...]:
    difference = 100 * (memory.peak.total - measured) / measured if measured else 0.0
    return (f"{size(measured)} by the allocator", f"the simulation is {difference:+.2f} % off")
