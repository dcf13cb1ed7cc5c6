"""What the summary of a report says of memory and of a training step."""

from __future__ import annotations

from collections.abc import Callable

from torchstat_cli.records import GenerationProfile, MemoryProfile, Share, TrainingProfile
from torchstat_cli.units import format_bytes, format_count

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


def _raw_bytes(value: int) -> str:
    return f"{value} B"
