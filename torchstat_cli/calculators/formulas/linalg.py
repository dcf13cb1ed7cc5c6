"""Decompositions and solvers: the leading terms of the textbook algorithms."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from torchstat_cli.calculators.counting import DERIVED, argument, contraction, first_tensor, is_complex, per_element
from torchstat_cli.calculators.registry import BUILTIN
from torchstat_cli.records import Cost, OpRecord

_SOURCE = "Golub & Van Loan, Matrix Computations, leading terms"


def _lu(m: int, n: int) -> int:
    long, short = max(m, n), min(m, n)
    return long * short**2 - short**3 // 3


def _qr(m: int, n: int) -> int:
    """Householder triangularisation; forming the thin Q takes the same again."""
    long, short = max(m, n), min(m, n)
    return 2 * long * short**2 - 2 * short**3 // 3


def _svd_values(m: int, n: int) -> int:
    """Bidiagonalisation."""
    long, short = max(m, n), min(m, n)
    return 4 * long * short**2 - 4 * short**3 // 3


def _svd(m: int, n: int) -> int:
    """Golub-Reinsch with both thin sets of singular vectors."""
    long, short = max(m, n), min(m, n)
    return 14 * long * short**2 + 8 * short**3


_FACTORISATIONS: dict[str, tuple[str, Callable[[int, int], int]]] = {
    "cholesky linalg_cholesky linalg_cholesky_ex": ("n^3 / 3", lambda m, n: n**3 // 3),
    "linalg_ldl_factor linalg_ldl_factor_ex": ("n^3 / 3", lambda m, n: n**3 // 3),
    "cholesky_inverse": ("2 n^3 / 3", lambda m, n: 2 * n**3 // 3),
    "linalg_lu linalg_lu_factor linalg_lu_factor_ex _lu_with_info": ("m n^2 - n^3 / 3", _lu),
    "linalg_det _linalg_det det linalg_slogdet _linalg_slogdet slogdet logdet": (
        "2 n^3 / 3 + n",
        lambda m, n: _lu(n, n) + n,
    ),
    "linalg_inv linalg_inv_ex inverse": ("2 n^3", lambda m, n: 2 * n**3),
    "geqrf": ("2 m n^2 - 2 n^3 / 3", _qr),
    "linalg_svdvals": ("4 m n^2 - 4 n^3 / 3", _svd_values),
    "linalg_eigvalsh": ("4 n^3 / 3", lambda m, n: 4 * n**3 // 3),
    "linalg_eigvals _linalg_eigvals": ("10 n^3", lambda m, n: 10 * n**3),
    "linalg_eig": ("25 n^3", lambda m, n: 25 * n**3),
    "linalg_householder_product orgqr": ("2 m n^2 - 2 n^3 / 3", _qr),
}


def _claim(names: str, words: str, flops: Callable[[int, int], int]) -> None:
    @BUILTIN.formula(*(f"aten.{name}" for name in names.split()), words=f"{words} per matrix", source=_SOURCE)
    def factorise(op: OpRecord) -> Cost:
        return _per_matrix(op, flops)


for _names, (_words, _flops) in _FACTORISATIONS.items():
    _claim(_names, _words, _flops)


@BUILTIN.formula("aten.linalg_qr", "aten.qr", source=_SOURCE)
def qr(op: OpRecord) -> Cost:
    """2 m n^2 - 2 n^3 / 3 per matrix for R, the same again for Q."""
    factors = 1 if argument(op, "mode") == "r" else 2
    return _per_matrix(op, lambda m, n: factors * _qr(m, n))


@BUILTIN.formula("aten.linalg_svd", "aten._linalg_svd", "aten.svd", source=_SOURCE)
def svd(op: OpRecord) -> Cost:
    """14 m n^2 + 8 n^3 per matrix, without vectors 4 m n^2 - 4 n^3 / 3."""
    return _per_matrix(op, _svd if argument(op, "compute_uv", True) else _svd_values)


@BUILTIN.formula("aten.linalg_pinv", "aten.pinverse", source=_SOURCE)
def pseudo_inverse(op: OpRecord) -> Cost:
    """Singular values and vectors (hermitian: 9 n^3), their reciprocals, and MAdds = m n^2 to put them together."""
    m, n = op.inputs[0].shape[-2:]
    matrices, short = (op.inputs[0].numel // (m * n) if op.inputs[0].numel else 0), min(m, n)
    decompose = (lambda m, n: 9 * n**3) if argument(op, "hermitian", False) else _svd
    # largest value, threshold, comparisons and reciprocals 3 per value; one scaled set of vectors
    scaling = matrices * (3 * short + n * short)
    return _per_matrix(op, decompose) + contraction(op, matrices * m * n * short, scaling)


@BUILTIN.formula("aten.linalg_eigh", "aten._linalg_eigh", source=_SOURCE)
def eigh(op: OpRecord) -> Cost:
    """9 n^3 per matrix, without vectors 4 n^3 / 3."""
    return _per_matrix(op, lambda m, n: 9 * n**3 if argument(op, "compute_v", True) else 4 * n**3 // 3)


@BUILTIN.formula("aten.linalg_solve", "aten.linalg_solve_ex", "aten._linalg_solve_ex", source=_SOURCE)
def solve(op: OpRecord) -> Cost:
    """2 n^3 / 3 per matrix and 2 n per element of the solution."""
    size = op.tensor("A").shape[-1]
    return _per_matrix(op, _lu) + _scaled(op, 2 * size * op.output.numel)


@BUILTIN.formula("aten.linalg_solve_triangular", "aten.triangular_solve", source=_SOURCE)
def solve_triangular(op: OpRecord) -> Cost:
    """n per element of the solution."""
    matrix = op.tensor("A") if op.has_tensor("A") else op.tensor("self")
    return _scaled(op, matrix.shape[-1] * op.output.numel)


@BUILTIN.formula("aten.cholesky_solve", "aten._cholesky_solve_helper", source=_SOURCE)
@BUILTIN.formula("aten.lu_solve", "aten.linalg_lu_solve", "aten.linalg_ldl_solve", source=_SOURCE)
def solve_factored(op: OpRecord) -> Cost:
    """2 n per element of the solution: two triangular solves."""
    factor = first_tensor(op, "LU", "LD", "LU_data", "A", "input2")
    return _scaled(op, 2 * factor.shape[-1] * op.output.numel)


@BUILTIN.formula("aten.linalg_lstsq", source=_SOURCE)
def least_squares(op: OpRecord) -> Cost:
    """2 m n^2 - 2 n^3 / 3 per matrix, and 4 m n + n^2 per right-hand side."""
    m, n = op.tensor("self").shape[-2:]
    sides = op.output.numel // n if n else 0
    return _per_matrix(op, _qr) + _scaled(op, sides * (4 * m * n + n * n))


@BUILTIN.formula("aten.ormqr", source=_SOURCE)
def multiply_by_q(op: OpRecord) -> Cost:
    """4 m k - 2 k^2 per column: k reflections."""
    size, count = op.output.shape[-2:] if argument(op, "left", True) else op.output.shape[:-3:-1]
    reflections = op.tensor("input2").shape[-1]
    batch = op.output.numel // (size * count) if op.output.numel else 0
    return _scaled(op, batch * count * (4 * size * reflections - 2 * reflections**2))


@BUILTIN.formula("aten.linalg_matrix_power", "aten.matrix_power", source=DERIVED)
def matrix_power(op: OpRecord) -> Cost:
    """MAdds = n^3 per product of repeated squaring; a negative power inverts first (2 n^3)."""
    power, size = op.arguments["n"], op.output.shape[-1]
    products = max(abs(power).bit_length() - 1 + abs(power).bit_count() - 1, 0) if power else 0
    cost = contraction(op, products * size * op.output.numel)
    return cost + _scaled(op, 2 * size * op.output.numel) if power < 0 else cost


@BUILTIN.formula("aten.linalg_norm", "aten.linalg_matrix_norm", "aten.nuclear_norm", source=_SOURCE)
def norm(op: OpRecord) -> Cost:
    """2 per element, 3 for a vector's uncommon orders; orders 2, -2 and nuclear of a matrix need singular values."""
    # abs or square, then sums and maxima: N - R together with the N before it, and a root per result where squared
    given, order, dim = op.inputs[0], op.arguments.get("ord"), op.arguments.get("dim")
    if op.name.endswith("nuclear_norm"):
        order = "nuc"
    elif op.name.endswith("matrix_norm") and order is None:
        order = "fro"
    paired = not isinstance(dim, int) and len(dim or ()) == 2
    is_matrix = paired or (not dim and order is not None and len(given.shape) == 2)
    if is_matrix and order in (2, -2, "nuc"):
        m, n = (given.shape[axis] for axis in (dim or (-2, -1)))
        matrices = given.numel // (m * n) if given.numel else 0
        return _scaled(op, matrices * (_svd_values(m, n) + min(m, n) - 1))
    if order in (0, 1, -1, inf, -inf):
        return per_element(op, 1, max(2 * given.numel - op.output.numel, 0))
    return per_element(op, 2 if is_matrix or order in (None, 2, "fro") else 3, given.numel)


@BUILTIN.formula("aten.linalg_cross", "aten.cross", source=DERIVED)
def cross_product(op: OpRecord) -> Cost:
    """3 per output element: two products, one difference."""
    return _scaled(op, 3 * op.output.numel)


def _per_matrix(op: OpRecord, flops: Callable[[int, int], int]) -> Cost:
    matrix = first_tensor(op, "A", "self", "input")
    m, n = matrix.shape[-2:]
    return _scaled(op, matrix.numel // (m * n) * flops(m, n)) if matrix.numel else Cost()


def _scaled(op: OpRecord, flops: int) -> Cost:
    """A complex operation of these algorithms is, as in LAPACK's own count, four real ones."""
    return Cost(flops=flops * (4 if is_complex(op) else 1))
