"""The table of CPU kernels that make tensors of their own, with the bytes of each from the record of a call."""

from __future__ import annotations

from collections.abc import Callable

from torchstat_cli.records import OpRecord, TensorRecord

Holds = Callable[[OpRecord], int]
_HOLDS: dict[str, Holds] = {}


def holds(*names: str) -> Callable[[Holds], Holds]:
    """Decorator: most bytes that operators hold beyond arguments and results, by their names in aten.

    Raises:
        ValueError: an operator has a rule already.
    """

    def register(rule: Holds) -> Holds:
        for name in names:
            full = name if "." in name else f"aten.{name}"
            if full in _HOLDS:
                raise ValueError(f"two rules for what {full} holds")
            _HOLDS[full] = rule
        return rule

    return register


def held_bytes(record: OpRecord) -> int | None:
    """Most bytes that a call holds on the CPU beyond its arguments and results; None for an operator without a rule."""
    rule = _HOLDS.get(record.name)
    return None if rule is None else rule(record)


def size(tensor: TensorRecord) -> int:
    """Bytes of the elements."""
    return tensor.numel * tensor.itemsize


def copy_of(tensor: TensorRecord) -> int:
    """Bytes of a copy that lies in order; 0 where the tensor does."""
    expected = 1
    for width, stride in zip(reversed(tensor.shape), reversed(tensor.stride), strict=True):
        if width != 1:
            if stride != expected:
                return size(tensor)
            expected *= width
    return 0


def is_dense(tensor: TensorRecord) -> bool:
    """Whether the elements lie without gaps and repeats, in whatever order of the axes."""
    expected = 1
    for stride, width in sorted((s, w) for s, w in zip(tensor.stride, tensor.shape, strict=True) if w != 1):
        if stride != expected:
            return False
        expected *= width
    return True
