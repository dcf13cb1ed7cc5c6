"""Quantised operators: MAdds of integers show, their FLOPs do not."""

from __future__ import annotations

from tests.calculators.making import cost, flops, tensor
from torchstat_cli.records import Cost, TensorRecord


def quantised(*shape: int) -> TensorRecord:
    return tensor(*shape, dtype="quint8")


def test_a_static_linear_is_integer_work() -> None:
    assert cost("quantized.linear", quantised(2, 5), X=quantised(2, 3), W_prepack="packed") == Cost(30, 0)
    assert cost("quantized.linear_relu", quantised(2, 5), X=quantised(2, 3), W_prepack="packed") == Cost(30, 0)


def test_a_dynamic_linear_quantises_in_floating_point() -> None:
    expected = Cost(30, 4 * 6 + 2 * 10)
    assert cost("quantized.linear_dynamic", tensor(2, 5), X=tensor(2, 3), W_prepack="packed") == expected
    half = cost("quantized.linear_dynamic_fp16", tensor(2, 5), X=tensor(2, 3), W_prepack="packed")
    assert half == Cost(30, 60 + 10)


def test_a_convolution_needs_its_unpacked_weight() -> None:
    weight = tensor(6, 4, 3, 3, dtype="qint8")
    given = {"qx": quantised(1, 4, 8, 8), "output_scale": 0.1, "output_zero_point": 0}
    assert cost("quantized.conv2d", quantised(1, 6, 6, 6), **given, packed_weight=(weight, None)) == Cost(216 * 36, 0)
    assert cost("quantized.conv2d", quantised(1, 6, 6, 6), **given, packed_weight="packed") is None
    transposed = {**given, "packed_weight": (tensor(4, 6, 3, 3, dtype="qint8"),)}
    assert cost("quantized.conv_transpose2d", quantised(1, 6, 10, 10), **transposed) == Cost(256 * 54, 0)


def test_integer_arithmetic_is_no_flops() -> None:
    assert flops("quantized.add", quantised(4), qa=quantised(4), qb=quantised(4)) == 0


def test_conversions() -> None:
    assert flops("aten.quantize_per_tensor", quantised(12), self=tensor(12)) == 24
    assert flops("aten.dequantize", tensor(12), self=quantised(12)) == 12
    assert flops("aten.fake_quantize_per_tensor_affine", tensor(12), self=tensor(12)) == 84


def test_packed_weights_of_floating_products() -> None:
    packed = {"self": tensor(2, 8, dtype="bfloat16"), "mat2": tensor(5, 8, dtype="int8"), "scales": tensor(5)}
    assert cost("aten._weight_int8pack_mm", tensor(2, 5, dtype="bfloat16"), **packed) == Cost(80, 160 + 10)
    four = {"self": tensor(2, 8, dtype="bfloat16"), "mat2": tensor(5, 4, dtype="int32")}
    assert cost("aten._weight_int4pack_mm", tensor(2, 5, dtype="bfloat16"), **four) == Cost(80, 160 + 80)


def test_two_of_four_sparsity_halves_the_products() -> None:
    given = {"input": tensor(2, 8), "weight": tensor(5, 4), "bias": tensor(5)}
    assert cost("aten._sparse_semi_structured_linear", tensor(2, 5), **given) == Cost(40, 80 + 10)
