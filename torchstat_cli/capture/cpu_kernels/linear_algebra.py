"""What decompositions and solvers hold on the CPU: copies that LAPACK overwrites, and its workspaces."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from torchstat_cli.capture.cpu_kernels.table import holds, size
from torchstat_cli.records import OpRecord

_PIVOT_BYTES = 4
_DEGREE = 10  # powers that the exponential holds at its highest degree, which matrices of usual size need


def _copies(count: int) -> Callable[[OpRecord], int]:
    def rule(record: OpRecord) -> int:
        matrix = record.inputs[0]
        return count * size(matrix) + prod(matrix.shape[:-2]) * _PIVOT_BYTES

    return rule


holds("_linalg_svd", "linalg_svd", "linalg_lstsq")(_copies(1))
holds("linalg_pinv")(_copies(3))
holds("linalg_matrix_exp", "matrix_exp")(_copies(_DEGREE))


@holds("linalg_inv", "linalg_inv_ex", "inverse", "linalg_lu")
def factors(record: OpRecord) -> int:
    """The factors, with a pivot for every row."""
    matrix = record.inputs[0]
    return size(matrix) + prod(matrix.shape[:-1]) * _PIVOT_BYTES


@holds("linalg_qr")
def reflections(record: OpRecord) -> int:
    """The factor of every reflection, and a square of numbers to work in; of tall matrices, one for each."""
    matrix = record.inputs[0]
    rows, columns = matrix.shape[-2:]
    few, batch = min(rows, columns), prod(matrix.shape[:-2])
    squares = batch if rows > columns else 1
    return (batch * few + squares * few * few) * matrix.itemsize


@holds("linalg_eig", "linalg_eigvals")
def eigenvalues(record: OpRecord) -> int:
    """A copy of the matrix; the parts of the values; the vectors as real numbers, in single precision twice."""
    matrix, values = record.inputs[0], record.outputs[0]
    vectors = 0 if record.name.endswith("vals") else size(matrix)
    single = matrix.itemsize < values.itemsize // 2 or matrix.itemsize == 4
    return size(matrix) + size(values) * (2 if single else 1) + vectors * (2 if single else 1)


@holds("_linalg_eigh", "linalg_eigh")
def symmetric(record: OpRecord) -> int:
    """LAPACK's workspaces for one matrix of n rows: 1 + 6 n + 2 n^2 numbers and 3 + 5 n integers."""
    matrix = record.inputs[0]
    rows = matrix.shape[-1]
    numbers, integers = 1 + 6 * rows + 2 * rows * rows, 3 + 5 * rows
    return numbers * matrix.itemsize + (integers + prod(matrix.shape[:-2])) * _PIVOT_BYTES
