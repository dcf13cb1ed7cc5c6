"""Elementwise arithmetic: a table of operations per output element, and the few whose count depends on arguments."""

from __future__ import annotations

from math import prod

from torchstat_cli.calculators.counting import DERIVED, argument, multiplication, per_element
from torchstat_cli.calculators.registry import BUILTIN, XLA
from torchstat_cli.records import Cost, OpRecord

# One operation of XLA's instruction set, or one special function that no convention splits.
_SINGLE = """
    __and__ __iand__ __ilshift__ __ior__ __irshift__ __ixor__ __lshift__ __or__ __rshift__ __xor__ _conj_physical abs
    absolute acos acosh angle arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin asinh atan atan2 atanh
    bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor ceil clamp_max clamp_min
    conj_physical copysign cos cosh deg2rad digamma div divide eq erf erfc erfinv exp exp2 expm1 fix float_power
    floor fmax fmin fmod frac frexp gcd ge greater greater_equal gt heaviside i0 igamma igammac isinf isnan
    isneginf isposinf isreal lcm le less less_equal lgamma log log10 log1p log2 logical_and logical_not logical_or
    logical_xor lt max.other maximum min.other minimum mvlgamma ne neg negative nextafter not_equal polygamma pow
    rad2deg reciprocal relu remainder round rsqrt sgn sigmoid sign signbit sin sinh special_airy_ai special_bessel_j0
    special_bessel_j1 special_bessel_y0 special_bessel_y1 special_chebyshev_polynomial_t
    special_chebyshev_polynomial_u special_chebyshev_polynomial_v special_chebyshev_polynomial_w special_digamma
    special_erf special_erfc special_erfcx special_erfinv special_exp2 special_expit special_expm1 special_gammainc
    special_gammaincc special_gammaln special_hermite_polynomial_h special_hermite_polynomial_he special_i0
    special_i0e special_i1 special_i1e special_laguerre_polynomial_l special_legendre_polynomial_p special_log1p
    special_modified_bessel_i0 special_modified_bessel_i1 special_modified_bessel_k0 special_modified_bessel_k1
    special_multigammaln special_ndtri special_polygamma special_psi special_round
    special_scaled_modified_bessel_k0 special_scaled_modified_bessel_k1 special_shifted_chebyshev_polynomial_t
    special_shifted_chebyshev_polynomial_u special_shifted_chebyshev_polynomial_v
    special_shifted_chebyshev_polynomial_w special_spherical_bessel_j0 special_zeta sqrt square tan tanh threshold
    true_divide trunc
"""

# name -> (operations per output element, what they are)
_STEPS = {
    "celu": (4, "compare, divide, expm1, multiply"),
    "floor_divide": (2, "divide, floor"),
    "glu": (2, "sigmoid, multiply"),
    "hardshrink": (2, "two comparisons"),
    "hardsigmoid": (4, "add, two bounds, divide"),
    "hardswish": (5, "add, two bounds, divide, multiply"),
    "hardtanh": (2, "two bounds"),
    "hypot": (4, "two squares, add, sqrt"),
    "isfinite": (3, "compare with itself, abs, compare with infinity"),
    "isclose": (5, "subtract, abs, multiply, add, compare"),
    "ldexp": (2, "power, multiply"),
    "leaky_relu": (2, "compare, multiply"),
    "lerp": (3, "subtract, multiply, add"),
    "log_sigmoid": (6, "min, abs, negate, exp, log1p, subtract"),
    "log_sigmoid_forward": (6, "min, abs, negate, exp, log1p, subtract"),
    "logaddexp": (6, "max, subtract, abs, exp, log1p, add"),
    "logaddexp2": (6, "max, subtract, abs, exp2, log2, add"),
    "mish": (4, "exp, log1p, tanh, multiply"),
    "nan_to_num": (3, "three comparisons"),
    "prelu": (2, "compare, multiply"),
    "_prelu_kernel": (2, "compare, multiply"),
    "relu6": (2, "two bounds"),
    "rrelu": (2, "compare, multiply"),
    "rrelu_with_noise": (2, "compare, multiply"),
    "rrelu_with_noise_functional": (2, "compare, multiply"),
    "selu": (4, "compare, expm1, two multiplies"),
    "silu": (2, "sigmoid, multiply"),
    "sinc": (3, "multiply, sin, divide"),
    "softshrink": (3, "two comparisons, add"),
    "special_entr": (3, "log, multiply, negate"),
    "special_log_ndtr": (5, "multiply, erfc, multiply, log, select by comparison"),
    "special_ndtr": (4, "multiply, erf, add, multiply"),
    "special_sinc": (3, "multiply, sin, divide"),
    "special_xlog1py": (2, "log1p, multiply"),
    "special_xlogy": (2, "log, multiply"),
    "xlogy": (2, "log, multiply"),
    "_masked_scale": (2, "mask, scale"),
    "_add_relu": (2, "add, compare"),
}


def claim_steps(table: dict[str, tuple[int, str]], namespace: str = "aten") -> None:
    """Claim every operator of a table of (operations per output element, what they are)."""
    for name, (operations, words) in table.items():
        BUILTIN.formula(
            f"{namespace}.{name}",
            words=f"{operations} per output element: {words}",
            source=XLA if operations == 1 else DERIVED,
        )(lambda op, operations=operations: per_element(op, operations))


claim_steps(dict.fromkeys(_SINGLE.split(), (1, "one elementwise operation")))
claim_steps(_STEPS)


@BUILTIN.formula("aten.add", "aten.sub", "aten.subtract", "aten.rsub")
def addition(op: OpRecord) -> Cost:
    """1 per output element, 1 more where alpha scales the second operand."""
    return per_element(op, 1 if argument(op, "alpha", 1) == 1 else 2)


@BUILTIN.formula("aten.mul", "aten.multiply")
def product(op: OpRecord) -> Cost:
    """1 per output element; 6 where both operands are complex."""
    return per_element(op, multiplication(op))


@BUILTIN.formula("aten.div.Tensor_mode", "aten.div.Scalar_mode", "aten.divide.Tensor_mode", "aten.divide.Scalar_mode")
def rounded_division(op: OpRecord) -> Cost:
    """1 per output element, 1 more when the quotient is rounded."""
    return per_element(op, 1 if op.arguments.get("rounding_mode") is None else 2)


@BUILTIN.formula("aten.clamp", "aten.clip")
def bounding(op: OpRecord) -> Cost:
    """1 per output element and given bound."""
    return per_element(op, sum(op.arguments.get(bound) is not None for bound in ("min", "max")))


@BUILTIN.formula("aten.gelu", source=DERIVED)
def gelu(op: OpRecord) -> Cost:
    """5 per output element with erf, 9 with the tanh approximation."""
    # erf:  scale, erf, add 1, times x, halve.
    # tanh: cube (2), scale, add x, scale, tanh, add 1, times x, halve.
    return per_element(op, 9 if argument(op, "approximate") == "tanh" else 5)


@BUILTIN.formula("aten.softplus", source=DERIVED)
def softplus(op: OpRecord) -> Cost:
    """3 per output element (compare, exp, log1p), 2 more for a beta other than 1."""
    return per_element(op, 3 if argument(op, "beta", 1) == 1 else 5)


@BUILTIN.formula("aten.addcmul", "aten.addcdiv", source=DERIVED)
def addition_of_products(op: OpRecord) -> Cost:
    """2 per output element (multiply or divide, add), 1 more for a value other than 1."""
    return per_element(op, 2 if argument(op, "value", 1) == 1 else 3)


@BUILTIN.formula("aten.logit", "aten.special_logit", source=DERIVED)
def logit(op: OpRecord) -> Cost:
    """3 per output element (subtract, divide, log), 2 more for the bounds that eps sets."""
    return per_element(op, 3 if op.arguments.get("eps") is None else 5)


@BUILTIN.formula("aten.elu", source=DERIVED)
def elu(op: OpRecord) -> Cost:
    """3 per output element (compare, expm1, multiply), 1 more each for scale and input scale other than 1."""
    return per_element(op, 3 + sum(argument(op, name, 1) != 1 for name in ("scale", "input_scale")))


@BUILTIN.formula("aten.equal")
def equality(op: OpRecord) -> Cost:
    """1 per element of one operand."""
    return per_element(op, 1, op.inputs[0].numel)


@BUILTIN.formula("aten.allclose", source=DERIVED)
def closeness(op: OpRecord) -> Cost:
    """5 per element of one operand, as isclose."""
    return per_element(op, 5, op.inputs[0].numel)


@BUILTIN.formula("aten.polar", source=DERIVED)
def polar(op: OpRecord) -> Cost:
    """4 per output element: cos, sin, two multiplies."""
    return Cost(flops=4 * op.output.numel)


@BUILTIN.formula("aten.dropout", "aten.native_dropout", "aten.feature_dropout", source=DERIVED)
def dropout(op: OpRecord) -> Cost:
    """2 per element (mask, scale) in training, free in evaluation."""
    return per_element(op, 2 if _drops(op) else 0)


@BUILTIN.formula("aten._fused_dropout", source=DERIVED)
def fused_dropout(op: OpRecord) -> Cost:
    """2 per element: mask, scale."""
    return per_element(op, 2)


@BUILTIN.formula("aten.alpha_dropout", "aten.feature_alpha_dropout", source=DERIVED)
def alpha_dropout(op: OpRecord) -> Cost:
    """2 per element (multiply, add) and 4 per drawn mask element in training, free in evaluation."""
    # A feature mask has one element per channel of each sample. It becomes a factor and a summand in four steps.
    given = op.tensor("input")
    drawn = prod(given.shape[:2]) if op.name.startswith("aten.feature") else given.numel
    return per_element(op, 1, 2 * given.numel + 4 * drawn if _drops(op) else 0)


def _drops(op: OpRecord) -> bool:
    # native_dropout's train may be None, which means yes.
    return op.arguments.get("train") is not False and argument(op, "p", 0.0) > 0
