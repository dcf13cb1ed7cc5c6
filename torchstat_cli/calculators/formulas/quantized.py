"""Quantisation and quantised products: MAdds of integer products show, their FLOPs are 0 by convention."""

from __future__ import annotations

from math import prod

from torchstat_cli.calculators.counting import DERIVED, contraction, first_tensor, per_element
from torchstat_cli.calculators.formulas.elementwise import claim_steps
from torchstat_cli.calculators.formulas.recurrent import GRU, LSTM, PLAIN, CellKind, framework_sizes
from torchstat_cli.calculators.registry import BUILTIN
from torchstat_cli.records import Cost, OpRecord, TensorRecord

claim_steps(
    {
        "quantize_per_tensor": (2, "scale, round"),
        "quantize_per_channel": (2, "scale, round"),
        "quantize_per_tensor_dynamic": (4, "two comparisons for the range, scale, round"),
        "dequantize": (1, "scale"),
        "fake_quantize_per_tensor_affine": (7, "scale, shift, round, two bounds, shift back, scale back"),
        "fake_quantize_per_channel_affine": (7, "scale, shift, round, two bounds, shift back, scale back"),
        "fake_quantize_per_tensor_affine_cachemask": (7, "scale, shift, round, two bounds, shift back, scale back"),
        "fake_quantize_per_channel_affine_cachemask": (7, "scale, shift, round, two bounds, shift back, scale back"),
        "_fake_quantize_per_tensor_affine_cachemask_tensor_qparams": (7, "as fake_quantize_per_tensor_affine"),
        "_fake_quantize_learnable_per_tensor_affine": (7, "as fake_quantize_per_tensor_affine"),
        "_fake_quantize_learnable_per_channel_affine": (7, "as fake_quantize_per_channel_affine"),
        "fake_quantize_per_tensor_affine_cachemask_backward": (1, "mask"),
        "fake_quantize_per_channel_affine_cachemask_backward": (1, "mask"),
        "fused_moving_avg_obs_fake_quant": (
            9,
            "two comparisons for the range, then as fake_quantize_per_tensor_affine",
        ),
        "_fused_moving_avg_obs_fq_helper": (
            9,
            "two comparisons for the range, then as fake_quantize_per_tensor_affine",
        ),
    }
)
_INTEGER = """
    add add_relu add_scalar add_scalar_relu cat cat_relu celu clamp dropout elu hardswish leaky_relu mul mul_relu
    mul_scalar mul_scalar_relu prelu relu6 sigmoid threshold
"""
claim_steps(dict.fromkeys(_INTEGER.split(), (1, "counts only where its tensors are floating")), namespace="quantized")
claim_steps(
    dict.fromkeys(("qadd", "qadd_relu", "qmul"), (1, "counts only where its tensors are floating")), namespace="onednn"
)

BUILTIN.free("aten._choose_qparams_per_tensor", "aten.choose_qparams_optimized", reason="a handful of scalars")
BUILTIN.free(
    *(f"quantized.{name}_prepack" for name in ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose2d")),
    *(f"quantized.{name}_unpack" for name in ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose2d")),
    "onednn.qlinear_prepack",
    "onednn.qconv_prepack",
    "mkldnn._reorder_linear_weight",
    "mkldnn._reorder_convolution_weight",
    "mkldnn._reorder_mkldnn_rnn_layer_weight",
    reason="moves data",
)

_POINTWISE_TAILS = ("", "_relu", "_tanh", "_leaky_relu")


@BUILTIN.formula(*(f"quantized.linear{tail}" for tail in _POINTWISE_TAILS), "quantized.matmul", source=DERIVED)
@BUILTIN.formula("onednn.qlinear_pointwise", "sparse.qlinear", "sparse.qlinear_relu", source=DERIVED)
def integer_linear(op: OpRecord) -> Cost:
    """MAdds = output elements x input features, in integers; no FLOPs."""
    return Cost(madds=op.output.numel * op.inputs[0].shape[-1])


@BUILTIN.formula("quantized.linear_dynamic", "quantized.linear_relu_dynamic", source=DERIVED)
@BUILTIN.formula("sparse.qlinear_dynamic", "sparse.qlinear_relu_dynamic", source=DERIVED)
@BUILTIN.formula("aten.fbgemm_linear_int8_weight", "aten.fbgemm_linear_int8_weight_fp32_activation", source=DERIVED)
def dynamic_linear(op: OpRecord) -> Cost:
    """MAdds in integers; 4 FLOPs per input element (range, scale, round), 2 per output element (scale, bias)."""
    given = op.inputs[0]
    return Cost(madds=op.output.numel * given.shape[-1], flops=4 * given.numel + 2 * op.output.numel)


@BUILTIN.formula("quantized.linear_dynamic_fp16", "quantized.linear_relu_dynamic_fp16", source=DERIVED)
@BUILTIN.formula("quantized.linear_dynamic_fp16_unpacked_weight", "onednn.linear_dynamic_fp16", source=DERIVED)
@BUILTIN.formula("aten.fbgemm_linear_fp16_weight", "aten.fbgemm_linear_fp16_weight_fp32_activation", source=DERIVED)
def half_linear(op: OpRecord) -> Cost:
    """MAdds = output elements x input features, in floating point; 1 per output element for the bias."""
    return contraction(op, op.output.numel * op.inputs[0].shape[-1], op.output.numel)


@BUILTIN.formula("aten._weight_int8pack_mm", "aten._mixed_dtypes_linear", source=DERIVED)
def int8_weight_product(op: OpRecord) -> Cost:
    """MAdds of the product in the input's dtype; 1 per output element for the scale, 1 for a bias."""
    return contraction(op, op.output.numel * op.inputs[0].shape[-1], (1 + op.has_tensor("bias")) * op.output.numel)


@BUILTIN.formula("aten._weight_int4pack_mm", "aten._weight_int4pack_mm_for_cpu", source=DERIVED)
@BUILTIN.formula("aten._weight_int4pack_mm_with_scales_and_zeros", "aten._dyn_quant_matmul_4bit", source=DERIVED)
def int4_weight_product(op: OpRecord) -> Cost:
    """MAdds of the product; 2 per weight for its scale and zero point."""
    features, outputs = op.inputs[0].shape[-1], op.output.shape[-1]
    return contraction(op, op.output.numel * features, 2 * features * outputs)


@BUILTIN.formula("aten._sparse_semi_structured_mm", "aten._sparse_semi_structured_addmm", source=DERIVED)
def half_sparse_product(op: OpRecord) -> Cost:
    """MAdds = output elements x stored half of the contracted length; 1 per output element for an addend."""
    stored = op.tensor("mat1").shape[-1]
    return contraction(op, op.output.numel * stored, op.output.numel if op.name.endswith("addmm") else 0)


@BUILTIN.formula("aten._sparse_semi_structured_linear", source=DERIVED)
def half_sparse_linear(op: OpRecord) -> Cost:
    """MAdds = output elements x stored half of the input features; 1 per output element for the bias."""
    bias = op.output.numel if op.has_tensor("bias") else 0
    return contraction(op, op.output.numel * op.tensor("weight").shape[-1], bias)


@BUILTIN.formula("aten._cslt_sparse_mm", source=DERIVED)
def compressed_product(op: OpRecord) -> Cost:
    """MAdds = output elements x half of the contracted length: two of every four weights are stored."""
    bias = op.output.numel if op.has_tensor("bias") else 0
    return contraction(op, op.output.numel * op.tensor("dense_B").shape[0] // 2, bias)


@BUILTIN.formula(*(f"quantized.conv{rank}d{tail}" for rank in (1, 2, 3) for tail in ("", "_relu")), source=DERIVED)
@BUILTIN.formula("quantized.conv2d_add", "quantized.conv2d_add_relu", source=DERIVED)
@BUILTIN.formula(*(f"onednn.qconv{rank}_pointwise" for rank in ("", "1d", "2d", "3d")), source=DERIVED)
def integer_convolution(op: OpRecord) -> Cost | None:
    """MAdds = output elements x kernel x input channels / groups, in integers; unknown if the weight stays packed."""
    weight = _weight(op)
    return None if weight is None else Cost(madds=op.output.numel * prod(weight.shape[1:]))


@BUILTIN.formula(*(f"quantized.conv{rank}d_dynamic" for rank in (1, 2, 3)), source=DERIVED)
def dynamic_convolution(op: OpRecord) -> Cost | None:
    """As the integer convolution; 4 FLOPs per input element and 2 per output element."""
    weight, given = _weight(op), op.inputs[0]
    if weight is None:
        return None
    return Cost(madds=op.output.numel * prod(weight.shape[1:]), flops=4 * given.numel + 2 * op.output.numel)


@BUILTIN.formula(*(f"quantized.conv_transpose{rank}d" for rank in (1, 2, 3)), source=DERIVED)
def integer_transposed_convolution(op: OpRecord) -> Cost | None:
    """MAdds = input elements x kernel x output channels / groups, in integers; unknown if the weight stays packed."""
    weight = _weight(op)
    return None if weight is None else Cost(madds=op.inputs[0].numel * prod(weight.shape[1:]))


def _claim_layers(name: str, kind: CellKind) -> None:
    @BUILTIN.formula(
        f"aten.{name}", words=f"as {name.removeprefix('quantized_')}, the gemms in integers", source=DERIVED
    )
    def layers(op: OpRecord) -> Cost:
        sizes = framework_sizes(op, kind)
        return Cost(sizes.madds, sizes.elementwise)


_claim_layers("quantized_lstm", LSTM)
_claim_layers("quantized_gru", GRU)


def _claim_cell(names: tuple[str, ...], kind: CellKind) -> None:
    @BUILTIN.formula(*names, words="one step: gemms in integers, the rest in floating point", source=DERIVED)
    def cell(op: OpRecord) -> Cost:
        sizes = framework_sizes(op, kind)
        return Cost(sizes.madds, sizes.elementwise)


_claim_cell(("aten.quantized_lstm_cell", "quantized.quantized_lstm_cell_dynamic"), LSTM)
_claim_cell(("aten.quantized_gru_cell", "quantized.quantized_gru_cell_dynamic"), GRU)
for _activation in ("relu", "tanh"):
    _name = f"quantized_rnn_{_activation}_cell"
    _claim_cell((f"aten.{_name}", f"quantized.{_name}_dynamic"), PLAIN)


@BUILTIN.formula("quantized.embedding_bag_byte", "quantized.embedding_bag_4bit", source=DERIVED)
@BUILTIN.formula(
    "quantized.embedding_bag_byte_rowwise_offsets", "quantized.embedding_bag_4bit_rowwise_offsets", source=DERIVED
)
def quantized_embedding_bag(op: OpRecord) -> Cost:
    """3 per looked-up element: scale, shift, add."""
    return per_element(op, 3, first_tensor(op, "indices").numel * op.output.shape[-1])


@BUILTIN.formula("quantized.embedding_byte", "quantized.embedding_4bit", source=DERIVED)
def quantized_embedding(op: OpRecord) -> Cost:
    """2 per looked-up element: scale, shift."""
    return per_element(op, 2)


def _weight(op: OpRecord) -> TensorRecord | None:
    """The unpacked weight: the first tensor behind the input that has a kernel."""
    given = op.inputs[0]
    return next((tensor for tensor in op.inputs[1:] if len(tensor.shape) == len(given.shape) > 2), None)
