"""Selections that add up, computed by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calculators.making import flops, make_op, tensor
from torchstat_cli.calculators import builtin_registry
from torchstat_cli.records import Cost

INDEX = tensor(5, dtype="int64")


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("index_add", {"source": tensor(5, 4), "alpha": 1}, 20),
        ("index_add_", {"source": tensor(5, 4), "alpha": 2}, 40),
        ("index_put", {"indices": (INDEX,), "values": tensor(5, 4), "accumulate": False}, 0),
        ("index_put_", {"indices": (INDEX,), "values": tensor(5, 4), "accumulate": True}, 20),
        ("scatter_add", {"index": tensor(5, 4, dtype="int64"), "src": tensor(5, 4)}, 20),
        ("scatter_reduce", {"index": tensor(5, 4, dtype="int64"), "src": tensor(5, 4), "reduce": "mean"}, 20 + 36),
        ("scatter_reduce_", {"index": tensor(5, 4, dtype="int64"), "src": tensor(5, 4), "reduce": "sum"}, 20),
        ("index_reduce", {"source": tensor(5, 4), "reduce": "amax"}, 20),
    ],
)
def test_scattered_elements(name: str, options: dict[str, Any], expected: int) -> None:
    assert flops(f"aten.{name}", tensor(9, 4), self=tensor(9, 4), **options) == expected


@pytest.mark.parametrize(("overload", "expected"), [("src", 0), ("value", 0), ("reduce", 20), ("value_reduce", 20)])
def test_a_scatter_that_replaces_is_free(overload: str, expected: int) -> None:
    given = {"self": tensor(9, 4), "index": tensor(5, 4, dtype="int64"), "reduce": "add"}
    op = make_op("aten.scatter", tensor(9, 4), overload=overload, **given)
    assert builtin_registry().cost(op) == Cost(flops=expected)


@pytest.mark.parametrize(("mode", "extra"), [(0, 0), (1, 8), (2, 0)])
def test_embedding_bag(mode: int, extra: int) -> None:
    # 6 rows of 4 in two bags: 24 - 8 additions or comparisons, a division per element of a mean
    given = {
        "weight": tensor(9, 4),
        "indices": tensor(6, dtype="int64"),
        "offsets": tensor(2, dtype="int64"),
        "mode": mode,
    }
    assert flops("aten.embedding_bag", tensor(2, 4), **given) == 16 + extra
    weighted = flops("aten.embedding_bag", tensor(2, 4), **given, per_sample_weights=tensor(6))
    assert weighted == 16 + extra + 24


def test_gradients_return_to_their_places() -> None:
    given = {"grad_output": tensor(5, 4), "indices": INDEX, "num_weights": 9, "scale_grad_by_freq": False}
    assert flops("aten.embedding_dense_backward", tensor(9, 4), **given) == 20
    assert flops("aten.reflection_pad2d_backward", tensor(1, 4, 4), grad_output=tensor(1, 6, 6)) == 36
    assert flops("aten.slice_backward", tensor(9, 4), grad_output=tensor(5, 4)) == 0
    assert flops("aten.col2im", tensor(1, 3, 5, 5), self=tensor(1, 12, 16)) == 192
