"""From a memory log to the peak: how many bytes of which class were alive at every operator, and in every module."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate

from torchstat_cli.records import (
    CLASSES,
    Block,
    MemoryLog,
    MemoryProfile,
    ModuleMemory,
    Moment,
    Phase,
    PhasePeak,
    Share,
)

_SHARES = 8
"""How many of the largest holders at the peak are named."""

_PLACES = {kind: place for place, kind in enumerate(CLASSES)}


def memory_profile(log: MemoryLog) -> MemoryProfile:
    """The peak of a run, its timeline and what is alive at the peak."""
    blocks = [(block, _kind(block, log)) for block in log.blocks if block.start < block.end]
    timeline = _timeline(blocks, log)
    peak = max(timeline, key=lambda moment: moment.total)
    phase = _phase_at(peak.index, log.phases)
    return MemoryProfile(
        peak=peak,
        step=phase.step,
        phase=phase.name,
        phases=tuple(_phase_peak(phase, timeline) for phase in log.phases),
        largest=_largest(blocks, peak.index),
        timeline=timeline,
        attention=log.attention,
        measured=log.measured,
    )


def module_memory(log: MemoryLog) -> Mapping[str, ModuleMemory]:
    """By module path: bytes at entry, at the peak and kept, of the call with the highest peak."""
    live, before = _totals(log)
    found: dict[str, ModuleMemory] = {}
    for frame in log.frames:
        entry = before[frame.start]
        inside = ModuleMemory(
            entry=entry,
            peak=max(live[frame.start : frame.end], default=entry),
            kept=before[frame.end] - entry,
        )
        if frame.path not in found or inside.peak > found[frame.path].peak:
            found[frame.path] = inside
    return found


def _kind(block: Block, log: MemoryLog) -> str:
    """The class of a block: known, or told by whether it outlives the module call that made it."""
    if block.kind is not None:
        return block.kind
    if block.frame is not None:
        return "activation" if block.outlives else "temporary"
    # Outside every module: the loss, which lives as long as its phase; whatever the backward pass makes is temporary.
    phase = _phase_at(block.start, log.phases)
    return "activation" if phase.name == "forward" and block.end > phase.end else "temporary"


def _phase_at(index: int, phases: Sequence[Phase]) -> Phase:
    """The phase in which operator ``index`` ran; the last one that began before, for what ran between two."""
    begun = [phase for phase in phases if phase.start <= index]
    return max(begun, key=lambda phase: phase.start) if begun else Phase(1, "forward", 0, 0)


def _timeline(blocks: Sequence[tuple[Block, str]], log: MemoryLog) -> tuple[Moment, ...]:
    """One moment per operator at which the live bytes changed; one moment at least."""
    changes: dict[int, list[tuple[int, int]]] = {0: []}  # by operator: class and bytes
    for block, kind in blocks:
        place = _PLACES[kind]
        changes.setdefault(block.start, []).append((place, block.nbytes))
        changes.setdefault(block.end, []).append((place, -block.nbytes))
    moments = []
    live = [0] * len(CLASSES)
    for index in sorted(changes):
        for place, nbytes in changes[index]:
            live[place] += nbytes
        if index < max(1, len(log.operators)):
            path, op = log.operators[index] if log.operators else ("", "")
            moments.append(Moment(index, tuple(live), path, op))
    return tuple(moments)


def _phase_peak(phase: Phase, timeline: Sequence[Moment]) -> PhasePeak:
    inside = [moment.total for moment in timeline if phase.start <= moment.index < phase.end]
    # What was alive when the phase began changed before it.
    before = [moment.total for moment in timeline if moment.index <= phase.start][-1:]
    return PhasePeak(phase.step, phase.name, max([*inside, *before], default=0), phase.start)


def _largest(blocks: Sequence[tuple[Block, str]], index: int) -> tuple[Share, ...]:
    held: Counter[tuple[str, str]] = Counter()
    for block, kind in blocks:
        if block.start <= index < block.end:
            held[block.path, kind] += block.nbytes
    return tuple(Share(path, kind, nbytes) for (path, kind), nbytes in held.most_common(_SHARES))


def _totals(log: MemoryLog) -> tuple[list[int], list[int]]:
    """Bytes live during each operator, and between it and the one before."""
    count = len(log.operators)
    started, ended, given = [0] * (count + 2), [0] * (count + 2), 0
    for block in log.blocks:
        if block.start < block.end:
            started[block.start] += block.nbytes
            ended[min(block.end, count + 1)] += block.nbytes
            if block.start == 0 and not block.op:
                given += block.nbytes
    live = list(accumulate(start - end for start, end in zip(started, ended, strict=True)))
    before = [total - start for total, start in zip(live, started, strict=True)]
    before[0] = given
    return live, before
