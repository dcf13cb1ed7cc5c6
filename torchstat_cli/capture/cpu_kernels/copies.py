"""Arguments that a kernel of the CPU first lays out anew, or turns into another dtype.

A gradient that stands for a sum, one number repeated without memory, is such an argument wherever a backward kernel
walks over its gradient in order.
"""

from __future__ import annotations

from math import prod

from torchstat_cli.capture.cpu_kernels.table import copy_of, holds, is_dense, size
from torchstat_cli.records import OpRecord, TensorRecord

_GRADIENTS = (
    *("grid_sampler_2d_backward", "embedding_dense_backward", "gelu_backward"),
    *("_softmax_backward_data", "_log_softmax_backward_data", "native_layer_norm_backward"),
    *("native_group_norm_backward", "avg_pool2d_backward", "avg_pool3d_backward", "_adaptive_avg_pool2d_backward"),
    *("_adaptive_avg_pool3d_backward", "max_pool2d_with_indices_backward", "max_pool3d_with_indices_backward"),
    *("adaptive_max_pool2d_backward", "fractional_max_pool2d_backward", "reflection_pad1d_backward"),
    *("reflection_pad2d_backward", "replication_pad1d_backward", "replication_pad2d_backward"),
    *("replication_pad3d_backward", "reflection_pad3d_backward", "upsample_bicubic2d_backward"),
    *("upsample_linear1d_backward", "upsample_nearest1d_backward", "upsample_trilinear3d_backward"),
    *("upsample_nearest3d_backward", "upsample_nearest2d_backward", "upsample_bilinear2d_backward"),
    *("_upsample_bilinear2d_aa_backward", "_upsample_bicubic2d_aa_backward"),
)
_ARGUMENTS = ("pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle", "tril", "triu")
_ARITHMETIC = (
    *("add", "sub", "mul", "div", "pow", "remainder", "fmod", "atan2", "maximum", "minimum", "rsub"),
    *("add_", "sub_", "mul_", "div_"),
)
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")


@holds(*_GRADIENTS)
def ordered_gradient(record: OpRecord) -> int:
    """A copy of the gradient, unless it lies in order, or in the channels-last order of the input."""
    name = "grad_output" if record.has_tensor("grad_output") else "grad" if record.has_tensor("grad") else "grad_out"
    gradient = record.tensor(name)
    return 0 if is_dense(gradient) else size(gradient)


@holds("native_batch_norm_backward")
def normalized(record: OpRecord) -> int:
    """A second gradient of the input, where that of the result lies as the input does."""
    gradient, given = record.tensor("grad_out"), record.tensor("input")
    wanted = bool(record.arguments["output_mask"][0])
    return size(given) if wanted and is_dense(gradient) and gradient.stride == given.stride else 0


@holds(*_ARGUMENTS)
def ordered_argument(record: OpRecord) -> int:
    """A copy of what is rearranged."""
    given = record.inputs[0]
    return 0 if "view" in record.tags or is_dense(given) else copy_of(given)


@holds("linear")
def linear(record: OpRecord) -> int:
    """The input, where it is no batch of matrices: torch multiplies all of them at once, or one after the other."""
    given = record.tensor("input")
    return 0 if _is_batch(given) else size(given)


def _is_batch(tensor: TensorRecord) -> bool:
    """Whether all axes but the last two can be seen as one."""
    expected = None
    for width, stride in zip(reversed(tensor.shape[:-2]), reversed(tensor.stride[:-2]), strict=True):
        if width == 1:
            continue
        if expected is not None and stride != expected:
            return False
        expected = width * stride
    return True


@holds("mm", "addmm", "bmm", "baddbmm")
def matrices(record: OpRecord) -> int:
    """Matrices whose rows or columns do not lie one after the other, which no library multiplies.

    Of a batch torch then multiplies one after the other.
    """
    names = ("mat1", "mat2") if record.name == "aten.addmm" else ("self", "mat2")
    names = ("batch1", "batch2") if record.name == "aten.baddbmm" else names
    given = (record.tensor(name) for name in names)
    wanting = [matrix for matrix in given if matrix.nnz is None and not _lies_in_lines(matrix)]
    return sum(prod(matrix.shape[-2:]) * matrix.itemsize for matrix in wanting if matrix.numel)


def _lies_in_lines(matrix: TensorRecord) -> bool:
    (rows, columns), (down, right) = matrix.shape[-2:], matrix.stride[-2:]
    return (right == 1 and down >= max(1, columns)) or (down == 1 and right >= max(1, rows))


@holds(*_ARITHMETIC)
def common_dtype(record: OpRecord) -> int:
    """Operands of another dtype than the result's, turned into it."""
    result = record.output
    return sum(
        tensor.numel * result.itemsize for tensor in record.inputs if tensor.shape and tensor.dtype != result.dtype
    )


@holds(*_COMPARISONS)
def compared_dtype(record: OpRecord) -> int:
    """Operands of another dtype than the one that is compared in."""
    operands = [tensor for tensor in record.inputs if tensor.shape]
    widest = max(operands, key=_rank, default=None)
    if widest is None:
        return 0
    return sum(tensor.numel * widest.itemsize for tensor in operands if tensor.dtype != widest.dtype)


def _rank(tensor: TensorRecord) -> tuple[bool, bool, int]:
    """torch calculates in complex numbers before real ones, in these before integers, and in the wider of a kind."""
    return tensor.is_complex, tensor.is_floating, tensor.itemsize


@holds("sum", "cumsum", "prod", "cumprod", "mean", "linalg_vector_norm")
def widened(record: OpRecord) -> int:
    """Truth values, integers and others, turned into what is summed up in."""
    given, result = record.inputs[0], record.output
    return 0 if given.dtype == result.dtype else given.numel * result.itemsize


@holds("abs")
def absolute(record: OpRecord) -> int:
    """The moduli of complex numbers are complex at first."""
    given = record.inputs[0]
    return size(given) if given.is_complex else 0


@holds("angle")
def angle(record: OpRecord) -> int:
    """So are their angles."""
    return absolute(record)
