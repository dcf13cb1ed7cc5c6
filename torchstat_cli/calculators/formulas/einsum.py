"""einsum and the bilinear products: contractions of pairs, taken one after the other as torch does."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from torchstat_cli.calculators.counting import DERIVED, additions, argument, contraction, multiplication
from torchstat_cli.calculators.registry import BUILTIN
from torchstat_cli.records import Cost, OpRecord, Shape

Axes = dict[str, int]
"""Labels of one operand with their sizes; an axis of size 1 contracts nothing and is left out."""


@BUILTIN.formula("aten.einsum", source=DERIVED)
def einsum(op: OpRecord) -> Cost:
    """MAdds = product of all sizes of each pair that shares a summed index, pairs in torch's order."""
    # A pair that sums nothing is one multiplication per element; an index that only one operand of the pair has, and
    # nobody needs later, is summed before: a reduction of N_in to N_out elements is N_in - N_out additions.
    operands, output = _parse(op.arguments["equation"], [tensor.shape for tensor in op.tensors("tensors")])
    path = list(argument(op, "path", ()))
    madds = flops = 0
    while len(operands) > 1:
        first, second = (path.pop(0), path.pop(0)) if path else (0, 1)
        left, right = operands[first], operands[second]
        operands = [axes for index, axes in enumerate(operands) if index not in (first, second)]
        needed = output.union(*operands)
        pair_madds, pair_flops, joined = _contract(left, right, needed, multiplication(op))
        madds, flops = madds + pair_madds, flops + pair_flops
        operands.insert(len(operands) if path else 0, joined)
    last = operands[0]
    flops += additions(_size(last), _size(_kept(last, output)))
    return contraction(op, madds, flops)


@BUILTIN.formula("aten.bilinear", source=DERIVED)
def bilinear(op: OpRecord) -> Cost:
    """MAdds = output elements x (in1 x in2 + in2); 1 per output element for the bias."""
    # x1 W contracts in1 for every output and in2; the result contracts in2 with x2.
    _, first, second = op.tensor("weight").shape
    bias = op.output.numel if op.has_tensor("bias") else 0
    return contraction(op, op.output.numel * (first * second + second), bias)


@BUILTIN.formula("aten._trilinear", source=DERIVED)
def trilinear(op: OpRecord) -> Cost:
    """The first two operands as one pair of an einsum, their result and the third as another."""
    operands = [_unsqueezed(op.tensor(f"i{n}").shape, op.arguments[f"expand{n}"]) for n in (1, 2, 3)]
    rank = max(len(shape) for shape in operands)
    first, second, third = ({str(axis): size for axis, size in enumerate(shape) if size != 1} for shape in operands)
    output = {str(axis) for axis in range(rank) if axis not in op.arguments["sumdim"]}
    madds, flops, joined = _contract(first, second, output | set(third), multiplication(op))
    last_madds, last_flops, _ = _contract(joined, third, output, multiplication(op))
    return contraction(op, madds + last_madds, flops + last_flops)


def _contract(left: Axes, right: Axes, needed: set[str], product: int) -> tuple[int, int, Axes]:
    """Multiply-adds and further operations of one pair, ``product`` to a multiplication, and the axes of its result."""
    trimmed_left, trimmed_right = _kept(left, needed | set(right)), _kept(right, needed | set(left))
    sums = additions(_size(left), _size(trimmed_left)) + additions(_size(right), _size(trimmed_right))
    union = trimmed_left | trimmed_right
    joined = _kept(union, needed)
    if len(joined) == len(union):
        return 0, sums + product * _size(union), joined
    return _size(union), sums, joined


def _parse(equation: str, shapes: list[Shape]) -> tuple[list[Axes], set[str]]:
    """Labelled axes of every operand and the labels of the output; '...' becomes the labels '-1', '-2', … ."""
    terms, arrow, result = equation.replace(" ", "").partition("->")
    labelled = [list(_labels(term, len(shape))) for term, shape in zip(terms.split(","), shapes, strict=True)]
    operands = [_axes(labels, shape) for labels, shape in zip(labelled, shapes, strict=True)]
    everything = [label for labels in labelled for label in labels]
    dots = {label for label in everything if label.startswith("-")}
    if arrow:
        return operands, set(result.replace("...", "")) | (dots if "..." in result else set())
    # Without an arrow the output holds the ellipsis and every label that occurs once.
    return operands, dots | {label for label in everything if everything.count(label) == 1}


def _labels(term: str, rank: int) -> Iterable[str]:
    before, dots, after = term.partition("...")
    spread = rank - len(before) - len(after) if dots else 0
    return [*before, *(str(-position) for position in range(spread, 0, -1)), *after]


def _axes(labels: list[str], shape: Shape) -> Axes:
    return {label: size for label, size in zip(labels, shape, strict=True) if size != 1}


def _unsqueezed(shape: Shape, expanded: Iterable[int]) -> Shape:
    """The shape after a new axis of size 1 at each of the given places."""
    sizes = list(shape)
    for axis in sorted(expanded):
        sizes.insert(axis, 1)
    return tuple(sizes)


def _kept(axes: Axes, labels: Iterable[str]) -> Axes:
    wanted = set(labels)
    return {label: size for label, size in axes.items() if label in wanted}


def _size(axes: Axes) -> int:
    return prod(axes.values())
