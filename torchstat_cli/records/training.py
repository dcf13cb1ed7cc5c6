"""What each phase of a training step costs."""

from __future__ import annotations

from dataclasses import dataclass, fields

from torchstat_cli.records.work import Work


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
class PhaseTotal(Work):
    """What one phase of one training step costs."""

    step: int
    phase: str


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
