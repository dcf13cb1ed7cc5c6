"""The result of a profile: rows, totals, operators, unknowns and where they came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from torchstat_cli.records.experts import Mixture
from torchstat_cli.records.generation import GenerationProfile
from torchstat_cli.records.memory import MemoryProfile, ModuleMemory
from torchstat_cli.records.operators import Shape
from torchstat_cli.records.training import TrainingCost, TrainingProfile
from torchstat_cli.records.work import COSTS, Work, intensity

if TYPE_CHECKING:
    from torchstat_cli.records.explanation import Explanation
    from torchstat_cli.records.precision import Precision

RULES = 1
"""Version of the counting rules; bumped whenever a formula changes its result."""

SCHEMA = 1
"""Version of the JSON report."""


class ModuleRecord(NamedTuple):  # one per module: a tuple is made in a third of the time of a frozen dataclass
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
    attrs: Mapping[str, Any] = MappingProxyType({})  # kernel_size, in_features, …
    param_shapes: tuple[Shape, ...] = ()  # of every parameter registered on this very module, tied ones included
    modules: int = 1  # equal modules that this row adds up, where a report folds them
    live: ModuleMemory | None = None  # when the run watched memory
    training: TrainingCost | None = None  # when the run trained: how the columns above divide into phases


@dataclass(frozen=True, slots=True)
class OperatorTotal(Work):
    """All calls of one operator."""

    op: str  # "aten.conv2d"
    calls: int


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
class Totals(Work):
    """Sums over the whole model."""

    params: int
    trainable_params: int
    buffers: int
    param_bytes: int
    buffer_bytes: int
    memory: int  # bytes newly allocated for outputs
    active_params: int | None = None  # elements that one token uses, of a mixture of experts whose top-k is known
    peak: int | None = None  # bytes; only when the run simulated memory
    duration_s: float | None = None  # only when timed
    lower_bound: bool = False  # an unknown operator ran
    training: TrainingCost | None = None  # when the run trained: how the numbers divide into phases

    @property
    def intensity(self) -> float:
        """FLOPs per byte moved; 0 where nothing moved."""
        return intensity(self) or 0.0


SUMMED = ("params", "trainable_params", "buffers", *COSTS, "memory")
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
    notices: tuple[str, ...] = ()  # what the user should know about how the spec was resolved


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
    precision: Precision | None = None  # dtypes of parameters and products; a saved report may lack them
    explanation: Explanation | None = None  # when asked for: how the numbers of one module or operator come about
    mixtures: tuple[Mixture, ...] = ()  # of experts; none where one of them does not say how many each token goes to

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
        return own._replace(
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
