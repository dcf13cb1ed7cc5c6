"""Decompositions of which the values alone are wanted, and dropout: composites that meta takes apart in another way."""

from __future__ import annotations

import torch
from torch import Tensor

from torchstat_cli.capture.kernel_steps.table import steps


@steps("linalg_svdvals")
def singular_values(matrix: Tensor, *, driver: str | None = None) -> Tensor:
    """LAPACK overwrites a copy."""
    copy = torch.empty_like(matrix)
    values = torch.empty((*matrix.shape[:-2], min(matrix.shape[-2:])), dtype=matrix.dtype.to_real(), device="meta")
    del copy
    return values


@steps("linalg_eigvalsh")
def eigenvalues(matrix: Tensor, uplo: str = "L") -> Tensor:
    """The same."""
    return singular_values(matrix)


@steps("dropout")
def dropout(x: Tensor, p: float, train: bool) -> Tensor:
    """The CPU draws numbers of the input's own dtype."""
    if not train or p == 0 or not x.numel():
        return x
    noise = torch.empty_like(x).bernoulli_(1 - p).div_(1 - p)
    return x * noise
