"""What lived when: the log of a run's memory, and what is worked out from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

CLASSES = ("parameter", "buffer", "input", "activation", "temporary", "gradient", "optimizer")
"""What live bytes are told apart by; every tuple of bytes by class is in this order.

activation: made in the forward pass and alive when the module call that made it has ended; temporary: freed before
that, or made by the backward pass or the optimiser without being a gradient or a state.
"""

NOT_MODELLED = (
    "rounding and fragmentation of the allocator",
    "buffers that kernels allocate below torch's dispatcher (workspaces of cuDNN and cuBLAS; on the CPU small "
    "ones of each thread, and those for half precision)",
    "the device context and everything else of the process",
)
"""What a simulated peak leaves out; it is tensor memory, not process memory."""


class Block(NamedTuple):
    """One storage, from the operator that allocated it to the last one that saw it."""

    nbytes: int
    kind: str | None  # a class that is known from what holds it; None: activation or temporary, its lifetime tells
    start: int  # the operator that made it; 0 for what was there before
    end: int  # the first operator that ran without it
    path: str  # module that ran that operator
    op: str  # "aten.convolution"; "" for what was there before
    frame: int | None  # position of the module call in ``MemoryLog.frames``; None: made outside every module
    outlives: bool = False  # it was alive when that call ended


class Frame(NamedTuple):
    """One call of a module, as the half-open range of operators that ran within it."""

    path: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of a run, as the half-open range of its operators."""

    step: int  # training step, from 1
    name: str  # "forward", "backward", "optimizer"
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class MemoryLog:
    """Everything that was seen of memory in one run."""

    blocks: tuple[Block, ...]
    frames: tuple[Frame, ...]
    phases: tuple[Phase, ...]
    operators: tuple[tuple[str, str], ...]  # module path and name of every operator, in order
    attention: str = "auto"  # backend that attention was simulated with
    measured: int | None = None  # bytes; the allocator's own peak, where the run was real


@dataclass(frozen=True, slots=True)
class Moment:
    """The live bytes from one operator to the next moment."""

    index: int  # operator number within the run
    live: tuple[int, ...]  # bytes by class, in the order of CLASSES
    path: str  # module of the operator
    op: str

    @property
    def total(self) -> int:
        """Bytes of every class together."""
        return sum(self.live)


@dataclass(frozen=True, slots=True)
class PhasePeak:
    """The highest moment of one phase."""

    step: int
    phase: str
    nbytes: int
    start: int = 0  # its first operator


@dataclass(frozen=True, slots=True)
class ModuleMemory:
    """One module's call with the highest peak, everything else that is alive included."""

    entry: int  # bytes live when the call began
    peak: int  # most bytes live during the call
    kept: int  # bytes more at its end than at its beginning


@dataclass(frozen=True, slots=True)
class Share:
    """What one module holds at the peak."""

    path: str
    kind: str  # class
    nbytes: int


@dataclass(frozen=True, slots=True)
class MemoryProfile:
    """Simulated tensor memory of a run."""

    peak: Moment
    step: int  # training step of the peak; 1 without training
    phase: str  # phase of the peak
    phases: tuple[PhasePeak, ...]
    largest: tuple[Share, ...]  # what holds most at the peak, the largest first
    timeline: tuple[Moment, ...]
    attention: str
    measured: int | None = None  # bytes; the allocator's own peak, where the run was real

    def at_peak(self) -> Mapping[str, int]:
        """Bytes by class at the peak."""
        return dict(zip(CLASSES, self.peak.live, strict=True))
