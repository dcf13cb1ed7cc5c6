"""Optimiser steps: the foreach operators over lists of tensors, and the fused steps."""

from __future__ import annotations

from torchstat_cli.calculators.counting import DERIVED, argument, tensors_of
from torchstat_cli.calculators.registry import BUILTIN
from torchstat_cli.records import Cost, OpRecord

_SINGLE = """
    abs acos asin atan ceil clamp_max clamp_min cos cosh div erf erfc exp expm1 floor frac lgamma log log10 log1p log2
    maximum minimum mul neg pow reciprocal round rsqrt sigmoid sign sin sinh sqrt tan tanh trunc
"""


@BUILTIN.formula(*(f"aten._foreach_{name}" for name in _SINGLE.split()))
def each_elementwise(op: OpRecord) -> Cost:
    """1 per element of every tensor of the list."""
    return _each(op, 1)


@BUILTIN.formula("aten._foreach_add", "aten._foreach_sub")
def each_addition(op: OpRecord) -> Cost:
    """1 per element of every tensor of the list, 1 more where alpha scales the second operand."""
    return _each(op, 1 if argument(op, "alpha", 1) == 1 else 2)


@BUILTIN.formula("aten._foreach_addcmul", "aten._foreach_addcdiv", source=DERIVED)
def each_addition_of_products(op: OpRecord) -> Cost:
    """2 per element (multiply or divide, add), 1 more for a value other than 1."""
    return _each(op, 2 if argument(op, "value", None) == 1 else 3)


@BUILTIN.formula("aten._foreach_lerp", source=DERIVED)
def each_blend(op: OpRecord) -> Cost:
    """3 per element: subtract, multiply, add."""
    return _each(op, 3)


@BUILTIN.formula("aten._fused_adam", "aten._fused_adamw", source=DERIVED)
def adam(op: OpRecord) -> Cost:
    """13 per parameter element; weight decay 2 (AdamW 1), amsgrad, maximize and gradient scale 1 each."""
    # exp_avg: lerp 3. exp_avg_sq: two scales, square, add 4. denominator: sqrt, divide, add eps 3. step: divide,
    # scale, subtract 3.
    decay = (1 if "adamw" in op.name else 2) if argument(op, "weight_decay", 0) else 0
    extra = sum(
        (bool(argument(op, "amsgrad", False)), bool(argument(op, "maximize", False)), op.has_tensor("grad_scale"))
    )
    return _each(op, 13 + decay + extra)


@BUILTIN.formula("aten._fused_sgd", source=DERIVED)
def sgd(op: OpRecord) -> Cost:
    """2 per parameter element; weight decay 2, momentum 2 or 3, Nesterov 2, maximize and gradient scale 1 each."""
    per_element = 2 + (2 if argument(op, "weight_decay", 0) else 0)
    if argument(op, "momentum", 0):
        per_element += (3 if argument(op, "dampening", 0) else 2) + (2 if argument(op, "nesterov", False) else 0)
    return _each(op, per_element + bool(argument(op, "maximize", False)) + op.has_tensor("grad_scale"))


@BUILTIN.formula("aten._fused_adagrad", source=DERIVED)
def adagrad(op: OpRecord) -> Cost:
    """7 per parameter element; weight decay 2, maximize and gradient scale 1 each."""
    # sum of squares 2; sqrt, add eps, divide 3; scale, subtract 2
    decay = 2 if argument(op, "weight_decay", 0) else 0
    return _each(op, 7 + decay + bool(argument(op, "maximize", False)) + op.has_tensor("grad_scale"))


@BUILTIN.formula("aten._amp_foreach_non_finite_check_and_unscale", source=DERIVED)
def unscale(op: OpRecord) -> Cost:
    """2 per gradient element: check, scale."""
    return _each(op, 2)


BUILTIN.free("aten._amp_update_scale", reason="a handful of scalars")


def _each(op: OpRecord, operations: int) -> Cost:
    """``operations`` per element of the listed tensors; in-place variants return nothing, so ``self`` tells."""
    listed = tensors_of(op, "self") or tensors_of(op, "exponent") or op.outputs
    return Cost(flops=operations * sum(tensor.numel * (2 if tensor.is_complex else 1) for tensor in listed))
