"""The frozen records that flow between the rooms; plain Python values, no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import Any, Literal

from torchstat_cli.memory_records import (
    GenerationProfile,
    MemoryLog,
    MemoryProfile,
    ModuleMemory,
    TrainingCost,
    TrainingProfile,
    TrainingSetup,
)

RULES = 1
"""Version of the counting rules; bumped whenever a formula changes its result."""

SCHEMA = 1
"""Version of the JSON report."""

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """What an operator saw of one tensor."""

    shape: Shape  # batch axis included
    stride: Shape  # in elements
    dtype: str  # as torch spells it, without the "torch." prefix
    itemsize: int  # bytes per element
    offset: int = 0  # first element within its storage
    storage: int = 0  # equal numbers within one operator call share memory
    storage_bytes: int = 0  # size of the whole storage
    nnz: int | None = None  # stored elements of a sparse tensor; None: dense

    @property
    def numel(self) -> int:
        """Elements, counted as the shape says."""
        return prod(self.shape)

    @property
    def is_floating(self) -> bool:
        """True for real and complex floating-point tensors; integer and boolean work is not FLOPs."""
        return self.dtype.startswith(("float", "bfloat", "complex"))

    @property
    def is_complex(self) -> bool:
        """True for complex tensors, whose arithmetic costs several real operations."""
        return self.dtype.startswith("complex")


@dataclass(frozen=True)
class OpRecord:
    """One operator call, reduced to what its cost can depend on. Equal calls share one record."""

    name: str  # "aten.convolution": namespace and packet, as torch.ops spells it
    overload: str  # "default", "Tensor", …
    arguments: Mapping[str, Any]  # by schema name: TensorRecord, tuples of them, numbers, strings, None
    outputs: tuple[TensorRecord, ...]  # every tensor of the result, flattened
    tags: frozenset[str] = frozenset()  # "view", "inplace", "pointwise", …: torch's own classification

    @property
    def output(self) -> TensorRecord:
        """The first output tensor."""
        return self.outputs[0]

    def tensor(self, name: str) -> TensorRecord:
        """The tensor argument ``name``.

        Raises:
            KeyError: the operator was called without that tensor.
        """
        value = self.arguments[name]
        if not isinstance(value, TensorRecord):
            raise KeyError(name)
        return value

    def has_tensor(self, name: str) -> bool:
        """Whether the optional tensor argument ``name`` was given."""
        return isinstance(self.arguments.get(name), TensorRecord)

    def tensors(self, name: str) -> tuple[TensorRecord, ...]:
        """The tensors of the list argument ``name``, without its ``None`` entries."""
        return tuple(item for item in self.arguments.get(name) or () if isinstance(item, TensorRecord))

    @cached_property
    def inputs(self) -> tuple[TensorRecord, ...]:
        """Every tensor among the arguments, flattened, in order."""
        return tuple(_tensors_in(self.arguments.values()))


def _tensors_in(values: Iterable[Any]) -> Iterable[TensorRecord]:
    for value in values:
        if isinstance(value, TensorRecord):
            yield value
        elif isinstance(value, (tuple, list)):
            yield from _tensors_in(value)
        elif isinstance(value, Mapping):
            yield from _tensors_in(value.values())


@dataclass(frozen=True, slots=True)
class Cost:
    """What a formula says of one operator call."""

    madds: int = 0  # multiply-accumulates of contractions
    flops: int = 0  # floating-point operations of everything, 2 per MAdd included

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.madds + other.madds, self.flops + other.flops)


@dataclass(frozen=True, slots=True)
class ModuleRecord:
    """One row of a report: a leaf module, or the work and parameters that a container owns directly."""

    path: str  # dotted name, "" is the root
    type: str  # class name
    kind: Literal["leaf", "direct", "subtree"]  # "subtree": a container with all below it, where --depth folds
    calls: int  # forward calls
    input_shape: tuple[Shape, ...]  # of the first call, every input tensor, batch included
    output_shape: tuple[Shape, ...]  # of the first call, every output tensor
    dtype: str | None  # of the first output of the first call
    params: int  # elements of the parameters counted here
    trainable_params: int  # those among them that require gradients
    buffers: int  # elements of the buffers counted here
    madds: int  # MACs, all calls
    flops: int  # floating-point operations, all calls
    mem_read: int  # bytes
    mem_write: int  # bytes
    memory: int  # bytes newly allocated for outputs
    duration_s: float | None = None  # seconds of the module itself, when timed
    shared_with: str | None = None  # the row that counts this row's tied parameters
    attrs: Mapping[str, Any] = field(default_factory=dict)  # kernel_size, in_features, …
    live: ModuleMemory | None = None  # when the run watched memory
    training: TrainingCost | None = None  # when the run trained: how the columns above divide into phases


@dataclass(frozen=True, slots=True)
class OperatorTotal:
    """All calls of one operator."""

    op: str  # "aten.conv2d"
    calls: int
    madds: int
    flops: int
    mem_read: int  # bytes
    mem_write: int  # bytes


@dataclass(frozen=True, slots=True)
class UnknownOperator:
    """An operator without a formula: the totals are lower bounds."""

    op: str
    calls: int
    paths: tuple[str, ...]  # modules that ran it


@dataclass(frozen=True, slots=True)
class InputRecord:
    """One tensor that the model was given."""

    name: str | None  # keyword, None when positional
    shape: Shape
    dtype: str


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over the whole model."""

    params: int
    trainable_params: int
    buffers: int
    param_bytes: int
    buffer_bytes: int
    madds: int
    flops: int
    mem_read: int
    mem_write: int
    memory: int
    peak: int | None = None  # bytes; only when the run simulated memory
    duration_s: float | None = None  # only when timed
    lower_bound: bool = False  # an unknown operator ran
    training: TrainingCost | None = None  # when the run trained: how the numbers divide into phases

    @property
    def intensity(self) -> float:
        """FLOPs per byte moved."""
        moved = self.mem_read + self.mem_write
        return self.flops / moved if moved else 0.0


SUMMED = ("params", "trainable_params", "buffers", "madds", "flops", "mem_read", "mem_write", "memory")
"""Numeric row columns; each sums exactly to its total."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a profile came from; enough to tell whether two may be compared."""

    spec: str | None  # as the user wrote it; None for a live model
    resolved: str  # "torchvision.models:resnet18"
    class_name: str
    inputs: tuple[InputRecord, ...]
    placement: str  # "meta", "meta+values", "cpu", "cuda:0"
    mode: Literal["eval", "train"]
    assumptions: tuple[str, ...]
    torch: str  # version
    version: str  # of modelstat
    rules: int = RULES
    source: str | None = None  # "file:line" of the factory, when known
    attention: str = "auto"  # backend of scaled dot-product attention


@dataclass(frozen=True)
class Profile:
    """The frozen result of one profile: rows, operators, unknowns and where they came from."""

    provenance: Provenance
    total: Totals
    rows: tuple[ModuleRecord, ...]  # order of first execution, then modules never called
    operators: tuple[OperatorTotal, ...]
    unknown: tuple[UnknownOperator, ...]
    never_called: tuple[str, ...]  # modules that no call reached and whose parameters no operator read
    containers: tuple[ModuleRecord, ...] = ()  # modules without a row of their own, every sum 0: names for folding
    memory: MemoryProfile | None = None  # when the run watched memory
    training: TrainingProfile | None = None  # when the run trained; every number above is then of the second step
    generation: GenerationProfile | None = None  # when asked for; every number above is the prefill's

    def at(self, path: str) -> ModuleRecord:
        """Totals of the module ``path`` and everything below it.

        Raises:
            KeyError: no row lies at or below ``path``.
        """
        rows = [row for row in self.rows if _below(row.path, path)]
        if not rows:
            raise KeyError(f"no module {path!r} in this report")
        return self._fold(path, rows)

    def folded(self, depth: int) -> Profile:
        """The same profile with rows deeper than ``depth`` added into their ancestor at that depth."""
        groups: dict[str, list[ModuleRecord]] = {}
        for row in self.rows:
            groups.setdefault(".".join(row.path.split(".")[:depth]), []).append(row)
        return replace(self, rows=tuple(self._fold(path, rows) for path, rows in groups.items()))

    def _fold(self, path: str, rows: list[ModuleRecord]) -> ModuleRecord:
        """One row for the module ``path`` and all of ``rows``, which lie at or below it."""
        if len(rows) == 1 and rows[0].path == path:
            return rows[0]
        own = next((row for row in (*rows, *self.containers) if row.path == path), rows[0])
        timed = [row.duration_s for row in rows if row.duration_s is not None]
        return replace(
            own,
            path=path,
            kind="subtree",
            duration_s=sum(timed) if timed else None,
            shared_with=None,
            attrs={},
            live=own.live if own.path == path else None,
            training=summed_training(rows),
            **{column: sum(getattr(row, column) for row in rows) for column in SUMMED},
        )


def summed_training(rows: Iterable[Any]) -> TrainingCost | None:
    """The training costs of ``rows`` of any kind together; None when none has any."""
    parts = [row.training for row in rows if getattr(row, "training", None) is not None]
    return sum(parts[1:], parts[0]) if parts else None


def _below(path: str, ancestor: str) -> bool:
    return not ancestor or path == ancestor or path.startswith(f"{ancestor}.")


@dataclass(frozen=True, slots=True)
class OwnedTensor:
    """A parameter or buffer where a module registers it."""

    name: str
    key: int  # equal for the same tensor under several names
    numel: int
    nbytes: int
    trainable: bool
    touched: bool  # an operator read or wrote it


@dataclass(frozen=True, slots=True)
class ModuleFacts:
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


@dataclass(frozen=True, slots=True)
class Event:
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
