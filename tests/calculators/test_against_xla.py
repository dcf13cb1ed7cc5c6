"""Outside reference: what XLA's cost analysis says of the same layers.

Each number is ``flops + transcendentals`` of ``jax.jit(layer).lower(...).cost_analysis()``, jax 0.10.2 on the CPU; the
layer is written out in ``jax.numpy`` with every intermediate computed once. XLA differs from our convention in four
places, which are not listed: it counts a select as an operation, a sigmoid as four and an erf as its polynomial, and it
leaves out the products of a convolution with padding.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.calculators.making import cost, tensor

X = tensor(6, 8)
IMAGE = tensor(2, 8, 5, 5)
VECTOR = tensor(8)

LAYERS: dict[str, tuple[int, Any, dict[str, Any]]] = {
    "aten.linear": (510, tensor(6, 5), {"input": X, "weight": tensor(5, 8), "bias": tensor(5)}),
    "aten.bmm": (240, tensor(5, 2, 4), {"self": tensor(5, 2, 3), "mat2": tensor(5, 3, 4)}),
    "aten.conv2d": (15552, tensor(2, 6, 3, 3), {"input": IMAGE, "weight": tensor(6, 8, 3, 3), "bias": None}),
    "aten.conv_transpose2d": (
        38400,
        tensor(2, 3, 12, 12),
        {"input": IMAGE, "weight": tensor(8, 3, 4, 4), "bias": None},
    ),
    "aten.scaled_dot_product_attention": (
        9440,
        tensor(2, 4, 5, 8),
        {"query": tensor(2, 4, 5, 6), "key": tensor(2, 4, 7, 6), "value": tensor(2, 4, 7, 8)},
    ),
    "aten.layer_norm": (348, X, {"input": X, "normalized_shape": (8,), "weight": VECTOR, "bias": VECTOR}),
    "aten.native_layer_norm": (252, X, {"input": X, "normalized_shape": (8,), "weight": None, "bias": None}),
    "aten.rms_norm": (204, X, {"input": X, "normalized_shape": (8,), "weight": VECTOR}),
    "aten.batch_norm": (1616, IMAGE, {"input": IMAGE, "weight": VECTOR, "bias": VECTOR, "training": False}),
    "aten.softmax": (228, X, {"self": X, "dim": -1}),
    "aten.log_softmax": (234, X, {"self": X, "dim": -1}),
    "aten.logsumexp": (192, tensor(6), {"self": X, "dim": (-1,)}),
    "aten.sum": (42, tensor(6), {"self": X, "dim": (-1,)}),
    "aten.mean": (48, tensor(6), {"self": X, "dim": (-1,)}),
    "aten.var": (192, tensor(6), {"self": X, "dim": (-1,)}),
    "aten.max_pool2d": (768, tensor(2, 8, 4, 4), {"self": IMAGE, "kernel_size": (2, 2)}),
    "aten.avg_pool2d": (1024, tensor(2, 8, 4, 4), {"self": IMAGE, "kernel_size": (2, 2)}),
    "aten.gelu": (432, X, {"self": X, "approximate": "tanh"}),
    "aten.hardswish": (240, X, {"self": X}),
    "aten.relu6": (96, X, {"self": X}),
    "aten.relu": (48, X, {"self": X}),
    "aten.tanh": (48, X, {"self": X}),
}


@pytest.mark.parametrize("name", LAYERS)
def test_flops_are_those_of_xla(name: str) -> None:
    expected, output, arguments = LAYERS[name]
    found = cost(name, output, **arguments)
    assert found is not None
    assert found.flops == expected
