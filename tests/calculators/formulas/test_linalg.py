"""Decompositions and solvers: the textbook's leading terms."""

from __future__ import annotations

import pytest

from tests.calculators.making import cost, flops, tensor
from torchstat_cli.records import Cost


@pytest.mark.parametrize(
    ("name", "shape", "per_matrix"),
    [
        ("linalg_cholesky_ex", (6, 6), 72), ("linalg_lu_factor_ex", (6, 6), 144), ("linalg_inv_ex", (6, 6), 432),
        ("_linalg_det", (6, 6), 150), ("linalg_qr", (6, 3), 2 * (108 - 18)), ("geqrf", (6, 3), 90),
        ("_linalg_svd", (6, 3), 14 * 54 + 8 * 27), ("_linalg_svd", (3, 6), 14 * 54 + 8 * 27),
        ("linalg_svdvals", (6, 3), 4 * 54 - 36), ("_linalg_eigh", (6, 6), 9 * 216), ("linalg_eigvalsh", (6, 6), 288),
        ("linalg_eig", (6, 6), 25 * 216),
    ],
)  # fmt: skip
def test_factorisations(name: str, shape: tuple[int, ...], per_matrix: int) -> None:
    assert flops(f"aten.{name}", tensor(*shape), A=tensor(*shape)) == per_matrix
    assert flops(f"aten.{name}", tensor(5, *shape), A=tensor(5, *shape)) == 5 * per_matrix
    complex_matrix = tensor(*shape, dtype="complex64")
    assert flops(f"aten.{name}", complex_matrix, A=complex_matrix) == 4 * per_matrix


def test_less_is_computed_when_less_is_asked_for() -> None:
    assert flops("aten.linalg_qr", tensor(3, 3), A=tensor(6, 3), mode="r") == 90
    assert flops("aten._linalg_svd", tensor(3), A=tensor(6, 3), compute_uv=False) == 180
    assert flops("aten._linalg_eigh", tensor(6), A=tensor(6, 6), compute_v=False) == 288


def test_solvers() -> None:
    assert flops("aten._linalg_solve_ex", tensor(6, 2), A=tensor(6, 6), B=tensor(6, 2)) == 144 + 2 * 36 * 2
    assert flops("aten.linalg_solve_triangular", tensor(6, 2), self=tensor(6, 6), B=tensor(6, 2)) == 72
    assert flops("aten.cholesky_solve", tensor(6, 2), self=tensor(6, 2), input2=tensor(6, 6)) == 144
    assert flops("aten.linalg_lstsq", tensor(3, 2), self=tensor(6, 3), b=tensor(6, 2)) == 90 + 2 * (72 + 9)


@pytest.mark.parametrize(("power", "products"), [(0, 0), (1, 0), (2, 1), (3, 2), (8, 3), (11, 5)])
def test_a_power_squares_repeatedly(power: int, products: int) -> None:
    madds = products * 64
    assert cost("aten.linalg_matrix_power", tensor(4, 4), self=tensor(4, 4), n=power) == Cost(madds, 2 * madds)


def test_a_negative_power_inverts_first() -> None:
    assert cost("aten.matrix_power", tensor(4, 4), self=tensor(4, 4), n=-2) == Cost(64, 128 + 128)


def test_cross_product() -> None:
    assert flops("aten.linalg_cross", tensor(5, 3), self=tensor(5, 3), other=tensor(5, 3)) == 45
