"""Fourier transforms."""

from __future__ import annotations

from math import ceil, log2, prod
from typing import Any

from torchstat_cli.calculators.counting import argument, axes
from torchstat_cli.calculators.registry import BUILTIN
from torchstat_cli.records import Cost, OpRecord, Shape

_SOURCE = "Cooley-Tukey, as benchFFT counts: 5 n log2 n, half for real data"


@BUILTIN.formula("aten._fft_c2c", "aten._fft_r2c", "aten._fft_c2r", source=_SOURCE)
def transform(op: OpRecord) -> Cost:
    """5 n log2 n per complex and 2.5 n log2 n per real transform, rounded up; n over all transformed axes."""
    given = op.tensor("self")
    real = not (given.is_complex and op.output.is_complex)
    # Real data has its full length on the real side only; the complex side keeps half of one axis.
    shape = op.output.shape if op.name.endswith("c2r") else given.shape
    return _cost(shape, op.arguments["dim"], real)


@BUILTIN.formula("aten.fft_fft", "aten.fft_ifft", source=_SOURCE)
def line_transform(op: OpRecord) -> Cost:
    """5 n log2 n per transform, half of that for real input, rounded up."""
    return _cost(op.output.shape, _dims(op), real=not op.tensor("self").is_complex)


@BUILTIN.formula(*(f"aten.fft_{name}" for name in ("fft2", "ifft2", "fftn", "ifftn")), source=_SOURCE)
def complex_transform(op: OpRecord) -> Cost:
    """5 n log2 n per transform, rounded up; real input is made complex first."""
    return _cost(op.output.shape, _dims(op), real=False)


@BUILTIN.formula(
    *(f"aten.fft_{name}" for name in ("irfft", "hfft", "irfft2", "hfft2", "irfftn", "hfftn")), source=_SOURCE
)
def transform_to_real(op: OpRecord) -> Cost:
    """2.5 n log2 n per transform, rounded up; n counts the real result."""
    return _cost(op.output.shape, _dims(op), real=True)


@BUILTIN.formula(
    *(f"aten.fft_{name}" for name in ("rfft", "ihfft", "rfft2", "ihfft2", "rfftn", "ihfftn")), source=_SOURCE
)
def transform_of_real(op: OpRecord) -> Cost:
    """2.5 n log2 n per transform, rounded up; n counts the real input after padding or trimming."""
    given = op.tensor("self").shape
    dims = axes(_dims(op), len(given))
    sizes = op.arguments.get("s") or (op.arguments.get("n"),)
    shape = list(given)
    for axis, size in zip(dims, sizes, strict=False):
        shape[axis] = size if size is not None and size >= 0 else shape[axis]
    return _cost(tuple(shape), dims, real=True)


def _dims(op: OpRecord) -> Any:
    """Transformed axes as the operator's defaults have them."""
    if op.name.endswith(("fft", "rfft")):
        return argument(op, "dim", -1)
    if op.arguments.get("dim") is None and op.arguments.get("s") is not None:
        return tuple(range(-len(op.arguments["s"]), 0))
    return op.arguments.get("dim")


def _cost(shape: Shape, dim: Any, real: bool) -> Cost:
    length = prod(shape[axis] for axis in axes(dim, len(shape)))
    if length < 2:
        return Cost()
    return Cost(flops=ceil(prod(shape) * (2.5 if real else 5) * log2(length)))
