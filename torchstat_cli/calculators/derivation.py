"""Whole numbers that remember how they came about, so that a formula explains itself by being run.

A formula computes with the sizes of a call. Run on a call whose sizes are :class:`Derived`, it gives the same number
with its derivation; so what is explained is what was counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torchstat_cli.records import OpRecord, TensorRecord

_MOST_TERMS = 12
"""Terms of a sum that are written out."""

_BYTES = "bytes"
"""The name of an element's size."""


class Derived(int):
    """A whole number with the operation and the numbers that it came from; a leaf has a name instead."""

    operation: str  # "+", "-", "×", "÷", "⌈÷⌉", "^", "⌈⌉", "negative"; "" for a leaf
    parts: tuple[float, ...]
    name: str  # of a leaf: "input"
    axis: int | None  # of a leaf that is one size of a tensor
    whole: int  # of such a leaf: elements of that tensor

    def __new__(
        cls,
        value: int,
        operation: str = "",
        parts: tuple[float, ...] = (),
        name: str = "",
        axis: int | None = None,
        whole: int = 0,
    ) -> Derived:
        made = super().__new__(cls, value)
        made.operation, made.parts, made.name, made.axis, made.whole = operation, parts, name, axis, whole
        return made

    def __add__(self, other: int) -> Any:
        return _joined("+", self, other, int.__add__)

    def __radd__(self, other: int) -> Any:
        return _joined("+", other, self, int.__add__)

    def __sub__(self, other: int) -> Any:
        return _joined("-", self, other, int.__sub__)

    def __rsub__(self, other: int) -> Any:
        return _joined("-", other, self, int.__sub__)

    def __mul__(self, other: Any) -> Any:
        return _Product(other, self) if type(other) is float else _joined("×", self, other, int.__mul__)

    def __rmul__(self, other: Any) -> Any:
        return _Product(other, self) if type(other) is float else _joined("×", other, self, int.__mul__)

    def __floordiv__(self, other: int) -> Any:
        if self.operation == "negative":  # -(-a // b) rounds up; the outer sign follows
            return Derived(int.__floordiv__(self, other), "negative ⌈÷⌉", (self.parts[0], other))
        return _joined("÷", self, other, int.__floordiv__)

    def __rfloordiv__(self, other: int) -> Any:
        return _joined("÷", other, self, int.__floordiv__)

    def __pow__(self, other: int, modulus: int | None = None) -> Any:
        return _joined("^", self, other, int.__pow__) if modulus is None else int.__pow__(self, other, modulus)

    def __neg__(self) -> int:
        if self.operation == "negative ⌈÷⌉":
            return Derived(int.__neg__(self), "⌈÷⌉", self.parts)
        return Derived(int.__neg__(self), "negative", (self,))

    def bit_length(self) -> int:
        """Of N - 1 it is the logarithm of N to the base 2, rounded up."""
        return Derived(int.bit_length(self), name=f"⌈log₂ {int(self) + 1:,}⌉")


class _Product(float):
    """A product with real numbers, which a formula rounds up in the end."""

    parts: tuple[float, ...]

    def __new__(cls, *parts: float) -> _Product:
        made = super().__new__(cls, math.prod(float(part) for part in parts))
        made.parts = parts
        return made

    def __mul__(self, other: float) -> _Product:
        return _Product(*self.parts, other)

    def __ceil__(self) -> int:
        return Derived(math.ceil(float(self)), "⌈⌉", self.parts)


def _joined(operation: str, left: Any, right: Any, compute: Callable[[int, int], Any]) -> Any:
    """The result with its derivation; steps that change nothing leave no trace."""
    if not (isinstance(left, int) and isinstance(right, int)):
        return NotImplemented
    value = compute(int(left), int(right))
    if not isinstance(value, int):
        return value  # a negative power
    if operation == "+" and 0 in (left, right):
        return left if right == 0 else right
    if operation == "×" and 1 in (left, right):
        return left if right == 1 else right
    if (operation == "-" and right == 0) or (operation in "÷^" and right == 1):
        return left
    if operation == "×" and value == 0:
        return 0
    return Derived(value, operation, (left, right))


@dataclass(frozen=True, slots=True)
class NamedTensor(TensorRecord):
    """A tensor whose sizes know whose they are; equal to others as without a name."""

    name: str = field(default="", compare=False)

    @property
    def numel(self) -> int:
        """Elements, as one number."""
        return Derived(TensorRecord.numel.fget(self), name=self.name)  # type: ignore[attr-defined]  # a property


def with_names(op: OpRecord) -> OpRecord:
    """The same call with sizes and settings that remember their names."""
    arguments = {name: _named(value, "input" if name == "self" else name) for name, value in op.arguments.items()}
    several = len(op.outputs) > 1
    outputs = [_tensor(tensor, f"output {n}" if several else "output") for n, tensor in enumerate(op.outputs)]
    return replace(op, arguments=arguments, outputs=tuple(outputs))


def _named(value: Any, name: str) -> Any:
    if isinstance(value, TensorRecord):
        return _tensor(value, name)
    if isinstance(value, (tuple, list)):
        several = len(value) > 1 and any(isinstance(item, (TensorRecord, tuple, list)) for item in value)
        return type(value)([_named(item, f"{name} {n}" if several else name) for n, item in enumerate(value)])
    if isinstance(value, Mapping):
        return {key: _named(item, f"{name} {key}") for key, item in value.items()}
    return Derived(value, name=name) if type(value) is int else value


def _tensor(tensor: TensorRecord, name: str) -> NamedTensor:
    whole = tensor.numel
    return NamedTensor(
        shape=tuple(Derived(size, name=name, axis=axis, whole=whole) for axis, size in enumerate(tensor.shape)),
        stride=tensor.stride,
        dtype=tensor.dtype,
        itemsize=Derived(tensor.itemsize, name=_BYTES),
        offset=tensor.offset,
        storage=tensor.storage,
        storage_bytes=Derived(tensor.storage_bytes, name=f"bytes of {name}"),
        nnz=None if tensor.nnz is None else Derived(tensor.nnz, name=f"stored in {name}"),
        name=name,
    )


def terms(value: int, known: Mapping[int, str] | None = None) -> str | None:
    """How ``value`` came about, in signs and names; None where it is a plain number.

    Args:
        value: the result of a formula.
        known: names of intermediate results, by their ids; they are not taken apart again.
    """
    return _text(value, known or {}) if isinstance(value, Derived) else None


def _text(value: float, known: Mapping[int, str]) -> str:
    if id(value) in known:
        return f"{int(value):,} ({known[id(value)]})"
    if not isinstance(value, Derived):
        return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"
    if not value.operation:
        return _leaf(value)
    if value.operation == "⌈⌉":
        return f"⌈{_product([factor for part in value.parts for factor in _flat(part, '×', known)], known)}⌉"
    if value.operation == "×":
        return _product(_flat(value, "×", known), known)
    if value.operation == "+":
        return _sum(_flat(value, "+", known), known)
    if value.operation == "negative":
        return f"-{_within(value.parts[0], known)}"
    left, right = value.parts
    if value.operation.endswith("⌈÷⌉"):
        return f"⌈{_within(left, known)} ÷ {_within(right, known)}⌉"
    if value.operation == "-":
        after = _within(right, known) if _operation(right, known) in ("+", "-") else _text(right, known)
        return f"{_text(left, known)} - {after}"
    return f"{_within(left, known)} {value.operation} {_within(right, known)}"


def _leaf(value: Derived) -> str:
    if value.axis is not None:
        return _sizes([value])
    return f"{int(value):,} bytes" if value.name == _BYTES else f"{int(value):,} ({value.name})"


def _operation(value: float, known: Mapping[int, str]) -> str:
    return value.operation if isinstance(value, Derived) and id(value) not in known else ""


def _within(value: float, known: Mapping[int, str]) -> str:
    """As part of another operation: in brackets where it has an order of its own."""
    text = _text(value, known)
    return text if _operation(value, known) in ("", "⌈÷⌉", "⌈⌉") else f"({text})"


def _flat(value: float, operation: str, known: Mapping[int, str]) -> list[float]:
    """The operands of nested operations of one kind, from left to right."""
    flat: list[float] = []
    pending: list[float] = [value]
    while pending:
        part = pending.pop()
        if isinstance(part, Derived) and part.operation == operation and id(part) not in known:
            pending.extend(reversed(part.parts))
        else:
            flat.append(part)
    return flat


def _sum(parts: list[float], known: Mapping[int, str]) -> str:
    counted: dict[str, int] = {}
    for part in parts:
        text = _text(part, known)
        counted[text] = counted.get(text, 0) + 1
    texts = [text if times == 1 else f"{times:,} × {_bracketed(text)}" for text, times in counted.items()]
    if len(texts) > _MOST_TERMS:
        texts = [*texts[: _MOST_TERMS // 2], f"… ({len(texts)} terms)", texts[-1]]
    return " + ".join(texts)


def _bracketed(text: str) -> str:
    return f"({text})" if " + " in text or " - " in text else text


def _product(parts: list[float], known: Mapping[int, str]) -> str:
    """Factors; sizes of one tensor stand together, and all of them are its elements."""
    texts, position = [], 0
    while position < len(parts):
        part = parts[position]
        if not isinstance(part, Derived) or part.axis is None or id(part) in known:
            texts.append(_within(part, known))
            position += 1
            continue
        group = [part]
        while position + len(group) < len(parts) and _goes_on(parts[position + len(group)], group):
            group.append(parts[position + len(group)])  # type: ignore[arg-type]  # _goes_on says that it is one
        texts.append(_sizes(group))
        position += len(group)
    return " × ".join(texts)


def _goes_on(part: float, group: list[Derived]) -> bool:
    last = group[-1]
    return (
        isinstance(part, Derived)
        and part.axis is not None
        and (part.name, part.whole) == (last.name, last.whole)
        and part.axis > (last.axis or 0)
    )


def _sizes(group: list[Derived]) -> str:
    """Sizes of one tensor along several axes."""
    elements = 1
    for size in group:
        elements *= int(size)
    first = group[0]
    if elements == first.whole:
        return f"{elements:,} ({first.name})"
    axes = ", ".join(str(size.axis) for size in group)
    numbers = " × ".join(f"{int(size):,}" for size in group)
    return f"{numbers} ({first.name} axis {axes})" if len(group) == 1 else f"{numbers} ({first.name} axes {axes})"
