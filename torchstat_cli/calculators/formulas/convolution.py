"""Convolutions, plain and transposed, and their gradients."""

from __future__ import annotations

from math import prod

from torchstat_cli.calculators.counting import additions, argument, contraction, first_tensor
from torchstat_cli.calculators.registry import BUILTIN
from torchstat_cli.records import Cost, OpRecord, TensorRecord

# weight is [Cout, Cin/groups, *kernel] of a plain and [Cin, Cout/groups, *kernel] of a transposed convolution, so the
# products per output element of the first, and per input element of the second, are weight.numel / weight.shape[0].
# Products with padding count, as papers count them; XLA's own analysis leaves them out.


@BUILTIN.formula(
    *(f"aten.conv{rank}d" for rank in (1, 2, 3)),
    "aten.convolution",
    "aten._convolution",
    "aten._convolution_mode",
    "aten.convolution_overrideable",
    "aten.cudnn_convolution",
    "aten.miopen_convolution",
    "aten.miopen_depthwise_convolution",
    "aten.mkldnn_convolution",
    "aten._mps_convolution",
    "aten._slow_conv2d_forward",
    "aten.slow_conv3d",
    "aten.slow_conv3d_forward",
    "aten.slow_conv_dilated2d",
    "aten.slow_conv_dilated3d",
    "aten.thnn_conv2d",
    "aten._conv_depthwise2d",
    "aten.conv_depthwise3d",
    "aten._nnpack_spatial_convolution",
)
def convolution(op: OpRecord) -> Cost:
    """MAdds = output elements x kernel x input channels / groups; 1 per output element for the bias."""
    return _convolution(op, transposed=bool(argument(op, "transposed", False)))


@BUILTIN.formula(
    *(f"aten.conv_transpose{rank}d" for rank in (1, 2, 3)),
    "aten.cudnn_convolution_transpose",
    "aten.miopen_convolution_transpose",
    "aten._mps_convolution_transpose",
    "aten.slow_conv_transpose2d",
    "aten.slow_conv_transpose3d",
    "mkldnn._convolution_transpose_pointwise",
)
def transposed_convolution(op: OpRecord) -> Cost:
    """MAdds = input elements x kernel x output channels / groups; 1 per output element for the bias."""
    return _convolution(op, transposed=True)


@BUILTIN.formula("aten.cudnn_convolution_relu", "aten.miopen_convolution_relu", "mkldnn._convolution_pointwise")
def convolution_activation(op: OpRecord) -> Cost:
    """As a convolution, plus 1 per output element for the fused activation and 1 for a fused second operand."""
    fused = (argument(op, "attr", "relu") != "none") + op.has_tensor("other")
    return _convolution(op, transposed=False, fused=fused)


@BUILTIN.formula("aten.cudnn_convolution_add_relu", "aten.miopen_convolution_add_relu")
def convolution_add_activation(op: OpRecord) -> Cost:
    """As a convolution, plus 2 per output element (add, relu), 1 more for an alpha other than 1."""
    return _convolution(op, transposed=False, fused=2 + (argument(op, "alpha", 1) != 1))


@BUILTIN.formula("aten.conv_tbc")
def time_convolution(op: OpRecord) -> Cost:
    """MAdds = output elements x kernel x input channels; 1 per output element for the bias."""
    kernel, channels, _ = op.tensor("weight").shape
    return contraction(op, op.output.numel * kernel * channels, op.output.numel)


@BUILTIN.formula(
    "aten.convolution_backward",
    "aten.convolution_backward_overrideable",
    "aten._slow_conv2d_backward",
    "aten.mps_convolution_backward",
)
def convolution_backward(op: OpRecord) -> Cost:
    """MAdds of the forward once per wanted gradient of input and weight; the bias gradient sums each channel."""
    # grad_input is the transposed convolution of grad_output, grad_weight correlates input with grad_output: both
    # form every product of the forward once, with the same groups.
    grad, given = op.tensor("grad_output"), first_tensor(op, "input", "self")
    mask = argument(op, "output_mask", (True, True, True))
    positions = given if argument(op, "transposed", False) else grad
    bias_sum = additions(grad.numel, grad.shape[1]) if mask[2] else 0
    return contraction(op, _products(positions, op.tensor("weight")) * sum(map(bool, mask[:2])), bias_sum)


@BUILTIN.formula("aten.conv_tbc_backward")
def time_convolution_backward(op: OpRecord) -> Cost:
    """MAdds of the forward twice; the bias gradient sums each channel."""
    grad = op.tensor("self")
    kernel, channels, _ = op.tensor("weight").shape
    return contraction(op, 2 * grad.numel * kernel * channels, additions(grad.numel, grad.shape[-1]))


def _products(positions: TensorRecord, weight: TensorRecord) -> int:
    return positions.numel * prod(weight.shape[1:])


def _convolution(op: OpRecord, *, transposed: bool, fused: int = 0) -> Cost:
    positions = first_tensor(op, "input", "self", "X") if transposed else op.output
    has_bias = op.has_tensor("bias") or op.has_tensor("B")
    return contraction(op, _products(positions, first_tensor(op, "weight", "W")), (fused + has_bias) * op.output.numel)
