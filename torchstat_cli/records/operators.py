"""An operator call as the calculators see it: shapes, dtypes and plain arguments; and what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

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
