"""The frozen records of memory and training: what lived when, and what each phase of a step costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

CLASSES = ("parameter", "buffer", "input", "activation", "temporary", "gradient", "optimizer")
"""What live bytes are told apart by; every tuple of bytes by class is in this order.

activation: made in the forward pass and alive when the module call that made it has ended; temporary: freed before
that, or made by the backward pass or the optimiser without being a gradient or a state.
"""

NOT_MODELLED = (
    "rounding and fragmentation of the allocator",
    "buffers that kernels allocate below torch's dispatcher (workspaces of cuDNN, cuBLAS, oneDNN)",
    "the device context and everything else of the process",
)
"""What a simulated peak leaves out; it is tensor memory, not process memory."""


@dataclass(frozen=True, slots=True)
class Block:
    """One storage, from the operator that allocated it to the last one that saw it."""

    nbytes: int
    kind: str | None  # a class that is known from what holds it; None: activation or temporary, its lifetime tells
    start: int  # the operator that made it; 0 for what was there before
    end: int  # the first operator that ran without it
    path: str  # module that ran that operator
    op: str  # "aten.convolution"; "" for what was there before
    frame: int | None  # position of the module call in ``MemoryLog.frames``; None: made outside every module
    outlives: bool = False  # it was alive when that call ended


@dataclass(frozen=True, slots=True)
class Frame:
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


@dataclass(frozen=True, slots=True)
class TrainingCost:
    """How the cost of the second training step divides into its phases, of one module or of the whole model."""

    forward_madds: int = 0
    forward_flops: int = 0
    backward_madds: int = 0  # recomputed forwards included
    backward_flops: int = 0
    optimizer_flops: int = 0
    step1_flops: int = 0  # the first step, in which optimisers make their states
    step2_flops: int = 0

    def __add__(self, other: TrainingCost) -> TrainingCost:
        return TrainingCost(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class PhaseTotal:
    """What one phase of one training step costs."""

    step: int
    phase: str
    madds: int
    flops: int
    mem_read: int  # bytes
    mem_write: int  # bytes


@dataclass(frozen=True, slots=True)
class TrainingSetup:
    """How a run trained."""

    optimizer: str  # as asked for: "adamw", "sgd:lr=0.1"
    loss: str
    autocast: str | None = None  # dtype
    accumulate: int = 1  # forward and backward passes per step


@dataclass(frozen=True, slots=True)
class TrainingProfile:
    """Two training steps, phase by phase."""

    setup: TrainingSetup
    phases: tuple[PhaseTotal, ...]
    total: TrainingCost


@dataclass(frozen=True, slots=True)
class FitPoint:
    """The simulated peak at one size."""

    size: int  # of the axes that vary
    peak: int  # bytes
    by_class: tuple[int, ...]  # bytes at the peak, in the order of CLASSES
    path: str  # module at the peak
    phase: str  # phase of the peak

    @property
    def dominant(self) -> str:
        """The class that holds most at the peak."""
        return CLASSES[max(range(len(CLASSES)), key=self.by_class.__getitem__)]


@dataclass(frozen=True, slots=True)
class FitResult:
    """What fits a budget."""

    model: str
    varied: tuple[str, ...]  # axes that vary: "axis 0 of input_ids"
    budget: int  # bytes
    device: str | None  # known device that the budget is of
    source: str | None  # where its size is from
    points: tuple[FitPoint, ...]  # in ascending order of size
    best: FitPoint | None  # the largest that fits; None when none does
    limit: int  # no larger size was tried
    obstacle: str | None = None  # why the next larger size does not run, where that ends the search


@dataclass(frozen=True, slots=True)
class GenerationPart:
    """What one part of generating text costs."""

    name: str  # "prefill", "first decode", "last decode", "all decodes"
    steps: int  # forward calls
    madds: int
    flops: int
    mem_read: int  # bytes
    mem_write: int  # bytes


@dataclass(frozen=True, slots=True)
class GenerationProfile:
    """Prefill and decoding of a causal language model."""

    prompt: int  # tokens
    new: int  # tokens generated; the prefill gives the first
    batch: int  # sequences
    parts: tuple[GenerationPart, ...]
    cache_bytes: int  # of the key-value cache at the end
    observed: int  # decoding steps that were run; the others follow from them
