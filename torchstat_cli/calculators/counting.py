"""Small helpers that every formula family counts with."""

from __future__ import annotations

from math import prod
from typing import Any

from torchstat_cli.records import Cost, OpRecord, Shape, TensorRecord

DERIVED = "derivation from XLA's elementwise convention"
"""Source of formulas whose comment adds up what XLA's convention says of each step."""


def is_complex(op: OpRecord) -> bool:
    """Whether any tensor of the call is complex."""
    return any(tensor.is_complex for tensor in (*op.inputs, *op.outputs))


def per_element(op: OpRecord, operations: int, elements: int | None = None) -> Cost:
    """``operations`` real operations for each of ``elements``, by default those of the first output.

    A complex element counts double: its real and its imaginary part are worked on apart. Of a sparse tensor only what
    it stores is worked on, also where it is added to a dense one in place.
    """
    count = _worked_on(op) if elements is None else elements
    return Cost(flops=operations * count * (2 if is_complex(op) else 1))


def stored(tensor: TensorRecord) -> int:
    """Elements that a tensor stores: all of a dense one."""
    return tensor.numel if tensor.nnz is None else tensor.nnz


def sparse_addend(op: OpRecord) -> TensorRecord | None:
    """The sparse operand that a call works into a dense tensor in place; None of any other call."""
    if not op.name.endswith("_") or op.output.nnz is not None:
        return None
    return next((tensor for tensor in op.inputs if tensor.nnz is not None), None)


def _worked_on(op: OpRecord) -> int:
    addend = sparse_addend(op)
    return stored(op.output if addend is None else addend)


def multiplication(op: OpRecord) -> int:
    """Real operations of one multiplication, in the unit of :func:`per_element`, where a complex element counts double.

    (a+bi)(c+di) takes four products and two sums. A real factor only scales both parts.
    """
    return 3 if len(op.inputs) > 1 and all(tensor.is_complex for tensor in op.inputs) else 1


def contraction(op: OpRecord, products: int, extra_flops: int = 0) -> Cost:
    """``products`` multiply-accumulates of the tensors' dtype, 2 FLOPs each, plus ``extra_flops``.

    A complex product is (a+bi)(c+di) = four real multiply-accumulates, and each extra operation is two real ones.
    """
    scale = 4 if is_complex(op) else 1
    madds = products * scale
    return Cost(madds=madds, flops=2 * madds + extra_flops * (2 if scale == 4 else 1))


def additions(elements: int, sums: int) -> int:
    """Additions (or comparisons) that join ``elements`` into ``sums`` results: one per element, less one per result.

    Results without elements take none.
    """
    return max(elements - sums, 0)


def argument(op: OpRecord, name: str, default: Any = None) -> Any:
    """A plain argument, ``default`` when it is absent or ``None``."""
    value = op.arguments.get(name)
    return default if value is None else value


def first_tensor(op: OpRecord, *names: str) -> TensorRecord:
    """The first of several possible tensor arguments: schemas call the same thing ``self``, ``input`` or ``X``.

    Raises:
        KeyError: the call has none of them.
    """
    for name in names:
        if op.has_tensor(name):
            return op.tensor(name)
    raise KeyError(" or ".join(names))


def tensors_of(op: OpRecord, name: str) -> tuple[TensorRecord, ...]:
    """The tensors of an argument, be it one tensor, a list of tensors or nothing."""
    value = op.arguments.get(name)
    return (value,) if isinstance(value, TensorRecord) else op.tensors(name) if isinstance(value, (tuple, list)) else ()


def axes(dim: Any, rank: int) -> tuple[int, ...]:
    """Reduced axes as non-negative numbers; ``None`` and an empty list mean all of them, as in torch."""
    if dim is None or dim == () or dim == []:
        return tuple(range(rank))
    listed = (dim,) if isinstance(dim, int) else tuple(dim)
    return tuple(axis % rank if rank else 0 for axis in listed)


def length_along(shape: Shape, dim: Any) -> int:
    """Elements that one reduction over ``dim`` joins into one; 1 for a scalar."""
    return prod(shape[axis] for axis in axes(dim, len(shape))) if shape else 1


def ceil_log2(value: int) -> int:
    """The smallest k with 2**k >= value: comparisons that find a place among ``value`` ordered ones."""
    return max(value - 1, 0).bit_length()


def ceil_div(value: int, by: int) -> int:
    """Integer division rounded up."""
    return -(-value // by)


def broadcast(*shapes: Shape) -> Shape:
    """The common shape of several that broadcast against each other."""
    rank = max(map(len, shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(next((size for size in sizes if size != 1), 1) for sizes in zip(*padded, strict=True))
