"""Softmax over rows, computed by hand."""

from __future__ import annotations

import pytest

from tests.calculators.making import flops, tensor


@pytest.mark.parametrize(("dim", "rows"), [(-1, 6), (1, 8), (0, 12)])
@pytest.mark.parametrize("name", ["aten.softmax", "aten._softmax"])
def test_softmax(name: str, dim: int, rows: int) -> None:
    # 24 elements: max 24 - R, subtract 24, exp 24, sum 24 - R, divide 24
    assert flops(name, tensor(2, 3, 4), self=tensor(2, 3, 4), dim=dim) == 120 - 2 * rows


def test_relatives() -> None:
    given = {"self": tensor(2, 3, 4), "dim": 1}
    assert flops("aten.log_softmax", tensor(2, 3, 4), **given) == 120 - 8
    assert flops("aten._safe_softmax", tensor(2, 3, 4), **given) == 144 - 16
    assert flops("aten.logsumexp", tensor(2, 4), self=tensor(2, 3, 4), dim=(1,)) == 96
    assert flops("aten._softmax_backward_data", tensor(2, 3, 4), grad_output=tensor(2, 3, 4), dim=1) == 96 - 8
    assert flops("aten._log_softmax_backward_data", tensor(2, 3, 4), grad_output=tensor(2, 3, 4), dim=1) == 96 - 8


def test_a_scalar_and_an_empty_tensor() -> None:
    assert flops("aten.softmax", tensor(), self=tensor(), dim=0) == 3  # one row of one: subtract, exp, divide
    assert flops("aten.softmax", tensor(0, 4), self=tensor(0, 4), dim=1) == 0
    assert flops("aten.softmax", tensor(4, 0), self=tensor(4, 0), dim=1) == 0
