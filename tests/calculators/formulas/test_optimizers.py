"""Optimiser steps over lists of tensors, computed by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calculators.making import flops, tensor

PARAMETERS = (tensor(3), tensor(2, 4))  # 11 elements


@pytest.mark.parametrize(
    ("name", "options", "per_element"),
    [
        ("_foreach_sqrt", {}, 1),
        ("_foreach_mul_", {"scalar": 0.9}, 1),
        ("_foreach_add_", {"other": PARAMETERS, "alpha": 1}, 1),
        ("_foreach_add_", {"other": PARAMETERS, "alpha": -0.1}, 2),
        ("_foreach_addcmul_", {"value": 1}, 2),
        ("_foreach_addcdiv_", {"value": -0.1}, 3),
        ("_foreach_lerp_", {"weight": 0.1}, 3),
        ("_foreach_zero_", {}, 0),
        ("_foreach_copy_", {}, 0),
        ("_fused_adam_", {"weight_decay": 0.0, "amsgrad": False, "maximize": False}, 13),
        ("_fused_adam_", {"weight_decay": 0.1, "amsgrad": True, "maximize": True, "grad_scale": tensor()}, 18),
        ("_fused_adamw_", {"weight_decay": 0.1}, 14),
        ("_fused_sgd_", {"momentum": 0.0, "weight_decay": 0.0}, 2),
        ("_fused_sgd_", {"momentum": 0.9, "dampening": 0.0, "nesterov": True, "weight_decay": 0.1}, 8),
        ("_fused_adagrad_", {"weight_decay": 0.0}, 7),
    ],
)
def test_per_element(name: str, options: dict[str, Any], per_element: int) -> None:
    assert flops(f"aten.{name}", self=PARAMETERS, **options) == per_element * 11


def test_results_tell_where_the_base_is_a_number() -> None:
    assert flops("aten._foreach_pow", *PARAMETERS, self=2.0, exponent=PARAMETERS) == 11
