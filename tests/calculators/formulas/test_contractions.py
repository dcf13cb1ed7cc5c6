"""MAdds and FLOPs of products of matrices, computed by hand."""

from __future__ import annotations

import pytest

from tests.calculators.making import cost, flops, tensor
from torchstat_cli.records import Cost


@pytest.mark.parametrize(
    ("name", "left", "right", "out", "madds"),
    [
        ("aten.mm", (2, 3), (3, 4), (2, 4), 2 * 3 * 4),
        ("aten.bmm", (5, 2, 3), (5, 3, 4), (5, 2, 4), 5 * 2 * 3 * 4),
        ("aten.matmul", (7, 1, 2, 3), (5, 3, 4), (7, 5, 2, 4), 7 * 5 * 2 * 3 * 4),
        ("aten.matmul", (3,), (3,), (), 3),
        ("aten.matmul", (2, 3), (3,), (2,), 2 * 3),
        ("aten.matmul", (3,), (5, 3, 4), (5, 4), 5 * 3 * 4),
        ("aten.mv", (2, 3), (3,), (2,), 6),
        ("aten.mm", (0, 3), (3, 4), (0, 4), 0),
        ("aten.mm", (2, 0), (0, 4), (2, 4), 0),
    ],
)
def test_products(name: str, left: tuple[int, ...], right: tuple[int, ...], out: tuple[int, ...], madds: int) -> None:
    assert cost(name, tensor(*out), self=tensor(*left), other=tensor(*right)) == Cost(madds, 2 * madds)


def test_a_complex_product_is_four_real_ones() -> None:
    left, right, out = (tensor(*shape, dtype="complex64") for shape in ((2, 3), (3, 4), (2, 4)))
    assert cost("aten.mm", out, self=left, mat2=right) == Cost(4 * 24, 8 * 24)


def test_integer_products_show_madds_and_no_flops() -> None:
    left, right = tensor(2, 3, dtype="int8"), tensor(3, 4, dtype="int8")
    assert cost("aten._int_mm", tensor(2, 4, dtype="int32"), self=left, mat2=right) == Cost(24, 0)


def test_sparse_operands_count_what_they_store() -> None:
    sparse, dense = tensor(10, 10, nnz=7), tensor(10, 4)
    assert cost("aten._sparse_mm", tensor(10, 4), sparse=sparse, dense=dense) == Cost(28, 56)
    assert cost("aten.mm", tensor(3, 10), self=tensor(3, 10), mat2=sparse) == Cost(21, 42)
    assert cost("aten.mm", tensor(10, 10), self=sparse, mat2=sparse) is None
    sampled = tensor(10, 10, nnz=7)
    assert cost("aten.sparse_sampled_addmm", sampled, self=sampled, mat1=tensor(10, 5), mat2=tensor(5, 10)) == Cost(
        35, 77
    )


@pytest.mark.parametrize(
    ("alpha", "beta", "extra"), [(1, 1, 1), (2, 1, 2), (1, 0.5, 2), (2, 0.5, 3), (1, 0, 0), (2, 0, 1)]
)
def test_addmm_counts_the_sum_and_the_scales(alpha: float, beta: float, extra: int) -> None:
    given = {"self": tensor(4), "mat1": tensor(2, 3), "mat2": tensor(3, 4), "alpha": alpha, "beta": beta}
    assert cost("aten.addmm", tensor(2, 4), **given) == Cost(24, 48 + extra * 8)


def test_batched_sums() -> None:
    batches = {"batch1": tensor(5, 2, 3), "batch2": tensor(5, 3, 4)}
    assert cost("aten.baddbmm", tensor(5, 2, 4), self=tensor(5, 2, 4), **batches) == Cost(120, 240 + 40)
    assert cost("aten.addbmm", tensor(2, 4), self=tensor(2, 4), **batches) == Cost(120, 240 + 8)


@pytest.mark.parametrize("bias", [None, tensor(5)])
def test_linear(bias: object) -> None:
    given = {"input": tensor(2, 7, 3), "weight": tensor(5, 3), "bias": bias}
    assert cost("aten.linear", tensor(2, 7, 5), **given) == Cost(210, 420 + (70 if bias else 0))


@pytest.mark.parametrize(
    ("mask", "expected"),
    [((True, True, True), Cost(420, 840 + 70 - 5)), ((False, True, False), Cost(210, 420)), ((False,) * 3, Cost())],
)
def test_linear_backward_counts_the_wanted_gradients(mask: tuple[bool, ...], expected: Cost) -> None:
    given = {"self": tensor(2, 7, 3), "grad_output": tensor(2, 7, 5), "weight": tensor(5, 3), "output_mask": mask}
    assert cost("aten.linear_backward", tensor(2, 7, 3), **given) == expected


def test_vectors() -> None:
    assert cost("aten.dot", tensor(), self=tensor(6), tensor=tensor(6)) == Cost(6, 12)
    assert cost("aten.inner", tensor(2, 4), self=tensor(2, 3), other=tensor(4, 3)) == Cost(24, 48)
    assert flops("aten.outer", tensor(3, 4), self=tensor(3), vec2=tensor(4)) == 12
    assert flops("aten.addr", tensor(3, 4), self=tensor(3, 4), vec1=tensor(3), vec2=tensor(4)) == 24
    assert flops("aten.linalg_vecdot", tensor(5), x=tensor(5, 3), y=tensor(5, 3), dim=-1) == 15 + 10


def test_tensordot_contracts_the_named_axes() -> None:
    given = {"self": tensor(2, 3, 4), "other": tensor(4, 3, 5), "dims_self": (1, 2), "dims_other": (1, 0)}
    assert cost("aten.tensordot", tensor(2, 5), **given) == Cost(2 * 5 * 12, 240)


def test_a_chain_takes_the_cheapest_order() -> None:
    # (10x100)(100x5)(5x50): first pair first = 10*100*5 + 10*5*50 = 7500, the other order 75000
    matrices = (tensor(10, 100), tensor(100, 5), tensor(5, 50))
    assert cost("aten.linalg_multi_dot", tensor(10, 50), tensors=matrices) == Cost(7500, 15000)
    assert cost("aten.linalg_multi_dot", tensor(10), tensors=(*matrices[:2], tensor(5))) == Cost(1500, 3000)


@pytest.mark.parametrize(
    ("left", "right", "out", "madds"),
    [
        ((12, 8), (3, 8, 5), (12, 5), 12 * 8 * 5),  # rows in three groups
        ((3, 4, 8), (3, 8, 5), (3, 4, 5), 3 * 4 * 8 * 5),
        ((4, 12), (12, 5), (3, 4, 5), 4 * 12 * 5),  # the contracted axis in three groups
    ],
)
def test_grouped_products(left: tuple[int, ...], right: tuple[int, ...], out: tuple[int, ...], madds: int) -> None:
    given = {"self": tensor(*left), "mat2": tensor(*right), "offs": tensor(3, dtype="int32")}
    assert cost("aten._grouped_mm", tensor(*out), **given) == Cost(madds, 2 * madds)


def test_scaled_products_scale_their_result() -> None:
    given = {"self": tensor(2, 3, dtype="float8_e4m3fn"), "mat2": tensor(3, 4, dtype="float8_e4m3fn")}
    scales = {"scale_a": tensor(2, 1), "scale_b": tensor(1, 4)}
    assert cost("aten._scaled_mm", tensor(2, 4, dtype="bfloat16"), **given, **scales) == Cost(24, 48 + 16)
    assert cost("aten._scaled_mm", tensor(2, 4), bias=tensor(4), **given, **scales) == Cost(24, 48 + 24)
