"""Normalisations and their gradients, computed by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calculators.making import flops, tensor

# 2 samples, 8 channels, 5 x 5: N = 400
N = 400
X = tensor(2, 8, 5, 5)
AFFINE = {"weight": tensor(8), "bias": tensor(8)}
RUNNING = {"running_mean": tensor(8), "running_var": tensor(8)}


@pytest.mark.parametrize(
    ("affine", "per_element"), [({}, 5), ({"weight": tensor(5)}, 6), ({"weight": tensor(5), "bias": tensor(5)}, 7)]
)
@pytest.mark.parametrize("name", ["aten.layer_norm", "aten.native_layer_norm"])
def test_layer_norm(name: str, affine: dict[str, Any], per_element: int) -> None:
    # 80 rows of 5: a mean and a variance each
    assert flops(name, tensor(2, 8, 5, 5), input=X, normalized_shape=(5,), **affine) == per_element * N + 2 * 80


def test_layer_norm_step_by_step() -> None:
    rows, width = 3, 4
    elements = rows * width
    mean = (elements - rows) + rows
    variance = elements + elements + (elements - rows) + rows
    scale = rows + rows + elements
    given = {"input": tensor(rows, width), "normalized_shape": (width,)}
    assert flops("aten.layer_norm", tensor(rows, width), **given) == mean + variance + scale == 66


def test_group_and_instance_norm_differ_in_their_groups_only() -> None:
    assert flops("aten.group_norm", X, input=X, num_groups=4, **AFFINE) == 7 * N + 2 * (2 * 4)
    native = {"input": X, "N": 2, "C": 8, "HxW": 25, "group": 4}
    assert flops("aten.native_group_norm", X, **native, **AFFINE) == 7 * N + 2 * (2 * 4)
    given = {"input": X, "use_input_stats": True}
    assert flops("aten.instance_norm", X, **given, **AFFINE) == 7 * N + 2 * (2 * 8)
    assert flops("aten.instance_norm", X, **given, **RUNNING) == 5 * N + 2 * 16 + 9 * 16
    assert flops("aten.instance_norm", X, input=X, use_input_stats=False, **RUNNING) == 2 * N + 2 * 16


@pytest.mark.parametrize("name", ["aten.batch_norm", "aten.native_batch_norm", "aten._native_batch_norm_legit"])
def test_batch_norm(name: str) -> None:
    assert flops(name, X, input=X, training=False, **AFFINE, **RUNNING) == 4 * N + 2 * 8
    assert flops(name, X, input=X, training=False, **RUNNING) == 2 * N + 2 * 8
    assert flops(name, X, input=X, training=True, **AFFINE, **RUNNING) == 7 * N + 2 * 8 + 7 * 8
    assert flops(name, X, input=X, training=True) == 5 * N + 2 * 8


def test_names_without_a_training_argument() -> None:
    assert flops("aten._native_batch_norm_legit_no_training", X, input=X, **RUNNING) == 2 * N + 16
    assert flops("aten._batch_norm_with_update", X, input=X, **RUNNING) == 5 * N + 16 + 56


def test_rms_norm() -> None:
    given = {"input": X, "normalized_shape": (5,)}
    assert flops("aten.rms_norm", X, **given) == 3 * N + 2 * 80
    assert flops("aten.rms_norm", X, **given, weight=tensor(5)) == 4 * N + 2 * 80
    assert flops("aten._fused_rms_norm", X, **given, weight=tensor(5)) == 4 * N + 2 * 80


def test_weight_norm() -> None:
    assert flops("aten._weight_norm", tensor(6, 8), v=tensor(6, 8), g=tensor(6, 1), dim=0) == 3 * 48 + 6


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ((True, True, True), 13 * N - 2 * 5),
        ((True, False, False), (2 + 8) * N),
        ((False, True, False), 2 * N + 2 * N - 5),
        ((False, False, True), N - 5),
    ],
)
def test_layer_norm_backward_counts_the_wanted_gradients(mask: tuple[bool, ...], expected: int) -> None:
    given = {"grad_out": X, "input": X, "normalized_shape": (5,), "weight": tensor(5), "output_mask": mask}
    assert flops("aten.native_layer_norm_backward", X, **given) == expected


@pytest.mark.parametrize(
    ("train", "mask", "expected"),
    [
        (True, (True, True, True), 9 * N + 8),
        (True, (False, True, True), 5 * N - 16),
        (False, (True, True, True), N + 24 + 5 * N - 16),
        (False, (True, False, False), N + 24),
    ],
)
def test_batch_norm_backward(train: bool, mask: tuple[bool, ...], expected: int) -> None:
    given = {"grad_out": X, "input": X, "weight": tensor(8), "train": train, "output_mask": mask}
    assert flops("aten.native_batch_norm_backward", X, **given) == expected


def test_rms_norm_backward() -> None:
    given = {"grad_out": X, "input": X, "normalized_shape": (5,), "weight": tensor(5), "output_mask": (True, True)}
    assert flops("aten._fused_rms_norm_backward", X, **given) == N + 6 * N + 2 * N - 5


def test_an_empty_batch_costs_nothing_but_the_channels() -> None:
    empty = tensor(0, 8, 5, 5)
    assert flops("aten.layer_norm", empty, input=empty, normalized_shape=(5,)) == 0
    assert flops("aten.batch_norm", empty, input=empty, training=False, **RUNNING) == 16
