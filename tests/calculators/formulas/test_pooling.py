"""Pooling windows, computed by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calculators.making import flops, tensor


@pytest.mark.parametrize(
    ("name", "kernel", "out", "expected"),
    [
        ("aten.max_pool2d", (3, 3), (1, 2, 4, 4), 32 * 8),
        ("aten.max_pool2d", (3,), (1, 2, 4, 4), 32 * 8),
        ("aten.max_pool2d", 3, (1, 2, 4, 4), 32 * 8),
        ("aten.max_pool2d_with_indices", (2, 3), (1, 2, 4, 4), 32 * 5),
        ("aten.max_pool1d", (4,), (1, 2, 4), 8 * 3),
        ("aten.max_pool3d", (2,), (1, 2, 2, 2, 2), 16 * 7),
        ("aten.avg_pool2d", (3, 3), (1, 2, 4, 4), 32 * 9),
        ("aten.avg_pool1d", (4,), (1, 2, 4), 8 * 4),
        ("aten.fractional_max_pool2d", (2, 2), (1, 2, 3, 3), 18 * 3),
    ],
)
def test_windows(name: str, kernel: Any, out: tuple[int, ...], expected: int) -> None:
    assert flops(name, tensor(*out), self=tensor(1, 2, 8, 8), kernel_size=kernel) == expected


def test_a_global_mean_adds_every_element_once() -> None:
    assert flops("aten.adaptive_avg_pool2d", tensor(1, 512, 1, 1), self=tensor(1, 512, 7, 7)) == 512 * 49


def test_adaptive_windows_overlap() -> None:
    # 5 -> 3: windows 0..2, 1..4, 3..5 of 2, 3 and 2 elements; 4 -> 2: two of 2
    given = tensor(1, 1, 5, 4)
    assert flops("aten.adaptive_avg_pool2d", tensor(1, 1, 3, 2), self=given) == 7 * 4
    assert flops("aten._adaptive_avg_pool2d", tensor(1, 1, 3, 2), self=given) == 7 * 4
    assert flops("aten.adaptive_max_pool2d", tensor(1, 1, 3, 2), self=given) == 7 * 4 - 6
    grad = {"grad_output": tensor(1, 1, 3, 2), "self": given}
    assert flops("aten._adaptive_avg_pool2d_backward", tensor(1, 1, 5, 4), **grad) == 7 * 4 + 6


def test_gradients() -> None:
    given = {"grad_output": tensor(1, 2, 4, 4), "self": tensor(1, 2, 8, 8), "kernel_size": (3, 3)}
    assert flops("aten.max_pool2d_with_indices_backward", tensor(1, 2, 8, 8), **given) == 32
    assert flops("aten.avg_pool2d_backward", tensor(1, 2, 8, 8), **given) == 32 * 10
