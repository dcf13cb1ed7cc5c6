"""Gradients of elementwise operators: operations per element of the gradient."""

from __future__ import annotations

from torchstat_cli.calculators.counting import DERIVED, argument, per_element
from torchstat_cli.calculators.formulas.elementwise import claim_steps
from torchstat_cli.calculators.registry import BUILTIN
from torchstat_cli.records import Cost, OpRecord

# g is the gradient that arrives; comparisons that only choose between g and 0 count, the choice itself is free.
claim_steps(
    {
        "_prelu_kernel_backward": (3, "compare, g * weight, g * x"),
        "elu_backward": (4, "compare, exp or add, two multiplies"),
        "hardshrink_backward": (2, "two comparisons"),
        "hardsigmoid_backward": (3, "two comparisons, multiply"),
        "hardswish_backward": (5, "two comparisons, g * (x / 3 + 1/2)"),
        "hardtanh_backward": (2, "two comparisons"),
        "leaky_relu_backward": (2, "compare, multiply"),
        "log_sigmoid_backward": (6, "compare, z / (1 + z), times sign, subtract, times g"),
        "mish_backward": (10, "softplus 2, tanh, sigmoid, g * (t + x * s * (1 - t^2))"),
        "native_dropout_backward": (2, "mask, scale"),
        "rrelu_with_noise_backward": (1, "g * noise"),
        "sigmoid_backward": (3, "g * y * (1 - y)"),
        "silu_backward": (6, "sigmoid, g * s * (1 + x * (1 - s))"),
        "softshrink_backward": (2, "two comparisons"),
        "tanh_backward": (3, "g * (1 - y^2)"),
        "threshold_backward": (1, "compare"),
    }
)


@BUILTIN.formula("aten.gelu_backward", "aten.infinitely_differentiable_gelu_backward", source=DERIVED)
def gelu_backward(op: OpRecord) -> Cost:
    """11 per element with erf, 18 with the tanh approximation."""
    # erf: cdf = (1 + erf(x / sqrt 2)) / 2 (4), pdf = c * exp(-x^2 / 2) (4), g * (cdf + x * pdf) (3).
    # tanh: the inner polynomial (5) and its tanh (1); x / 2, 1 + t and the half of that (3); 1 - t^2 (2); the
    # polynomial's derivative (3); their product (2); sum and times g (2).
    return per_element(op, 18 if argument(op, "approximate") == "tanh" else 11)


@BUILTIN.formula("aten.softplus_backward", source=DERIVED)
def softplus_backward(op: OpRecord) -> Cost:
    """5 per element (compare, exp, add, divide, multiply), 1 more for a beta other than 1."""
    return per_element(op, 5 if argument(op, "beta", 1) == 1 else 6)


@BUILTIN.formula("aten.logit_backward", source=DERIVED)
def logit_backward(op: OpRecord) -> Cost:
    """3 per element: g / (x * (1 - x)), 2 more for the bounds that eps sets."""
    return per_element(op, 3 if op.arguments.get("eps") is None else 5)


@BUILTIN.formula("aten.glu_backward", source=DERIVED)
def glu_backward(op: OpRecord) -> Cost:
    """5 per gate: sigmoid, g * s, and that times a * (1 - s)."""
    return per_element(op, 5, op.tensor("grad_output").numel)
