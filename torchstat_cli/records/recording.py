"""What capture saw of one run: everything that it hands to the calculators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from torchstat_cli.records.memory import MemoryLog
from torchstat_cli.records.operators import OpRecord, Shape
from torchstat_cli.records.training import TrainingSetup


class OwnedTensor(NamedTuple):  # one per parameter: a tuple is made in half the time of a frozen dataclass
    """A parameter or buffer where a module registers it."""

    name: str
    key: int  # equal for the same tensor under several names
    numel: int
    nbytes: int
    trainable: bool
    touched: bool  # an operator read or wrote it
    shape: Shape = ()
    dtype: str = ""  # as torch spells it


class ModuleFacts(NamedTuple):
    """What capture saw of one module."""

    path: str
    type: str
    is_leaf: bool
    calls: int
    input_shape: tuple[Shape, ...]
    output_shape: tuple[Shape, ...]
    dtype: str | None
    attrs: Mapping[str, Any]
    parameters: tuple[OwnedTensor, ...]  # registered on this very module
    buffers: tuple[OwnedTensor, ...]
    hidden: bool = False  # nobody can see whether it runs (TorchScript); its work counts in the row above it


class Event(NamedTuple):
    """Equal operator calls within one module."""

    op: OpRecord
    path: str  # innermost running module
    calls: int


@dataclass(frozen=True, slots=True)
class PhaseEvents:
    """What ran in one phase of one training step; a phase that ran several times has several of these."""

    step: int  # from 1
    phase: str  # "forward", "backward", "optimizer"
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Recording:
    """Everything that capture hands to the calculators."""

    modules: tuple[ModuleFacts, ...]  # order of registration, parents before children
    order: tuple[str, ...]  # paths in order of first execution, or of first operator; then those never called
    events: tuple[Event, ...]
    assumptions: tuple[str, ...] = ()
    carried_values: bool = False  # small known values answered a question that meta tensors cannot
    training: tuple[PhaseEvents, ...] = ()  # both steps in order; ``events`` are then those of the second step
    setup: TrainingSetup | None = None  # only when the run trained
    memory: MemoryLog | None = None  # only when the run watched memory
    attention: str = "auto"  # backend of scaled dot-product attention
    notices: tuple[str, ...] = ()  # sentences on what else the numbers depend on, and on what could not be taken back
