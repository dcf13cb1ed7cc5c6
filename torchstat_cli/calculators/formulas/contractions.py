"""The matmul family: dense, batched, grouped, sparse and scaled products of matrices."""

from __future__ import annotations

from math import prod

from torchstat_cli.calculators.counting import (
    DERIVED,
    additions,
    argument,
    broadcast,
    contraction,
    first_tensor,
    multiplication,
    per_element,
    stored,
)
from torchstat_cli.calculators.registry import BUILTIN
from torchstat_cli.records import Cost, OpRecord, TensorRecord

# Every product of matrices: each output element sums K products, K the last axis of the left operand.


@BUILTIN.formula("aten.mm", "aten.bmm", "aten.matmul", "aten.linalg_matmul", "aten.mv", "aten._int_mm", "aten.smm")
def matrix_product(op: OpRecord) -> Cost | None:
    """MAdds = output elements x contracted length; of a sparse operand only the stored elements count."""
    left, right = list(op.inputs)[:2]
    return _product(op, left, right)


@BUILTIN.formula("aten._sparse_mm", "aten._sparse_mm_reduce_impl", "aten._sparse_sparse_matmul", "aten.hspmm")
def sparse_product(op: OpRecord) -> Cost | None:
    """MAdds = stored elements of the sparse operand x columns (or rows) of the other."""
    left, right = list(op.inputs)[:2]
    return _product(op, left, right)


@BUILTIN.formula("aten.linalg_vecdot", source=DERIVED)
def rowwise_dot_product(op: OpRecord) -> Cost:
    """A dot product of two vectors; of batches of them products and a sum, as torch does it: no MAdds."""
    elements = prod(broadcast(*(tensor.shape for tensor in op.inputs)))
    return (
        dot_product(op) if not op.output.shape else per_element(op, 1, elements + additions(elements, op.output.numel))
    )


@BUILTIN.formula("aten.dot", "aten.vdot")
def dot_product(op: OpRecord) -> Cost:
    """MAdds = elements of one operand."""
    return contraction(op, max(tensor.numel for tensor in op.inputs))


@BUILTIN.formula("aten.inner")
def inner_product(op: OpRecord) -> Cost:
    """MAdds = output elements x length of the last axes."""
    left = op.tensor("self")
    return contraction(op, op.output.numel * (left.shape[-1] if left.shape else 1))


@BUILTIN.formula("aten.outer", "aten.ger", "aten.kron")
def outer_product(op: OpRecord) -> Cost:
    """1 per output element, 6 where both are complex: nothing is summed, so it is elementwise work and no MAdd."""
    return per_element(op, multiplication(op))


@BUILTIN.formula("aten.addmm", "aten.addmv", "aten.baddbmm", "aten._sparse_addmm", "aten.sspaddmm")
def added_product(op: OpRecord) -> Cost | None:
    """MAdds of the product, 1 per output element for the sum, 1 each for alpha and beta other than 1."""
    left, right = first_tensor(op, "mat1", "batch1", "mat"), first_tensor(op, "mat2", "batch2", "vec")
    return _product(op, left, right, _sum_flops(op))


@BUILTIN.formula("aten._addmm_activation")
def added_product_activation(op: OpRecord) -> Cost:
    """As addmm, plus 1 (relu) or 9 (tanh gelu) per output element."""
    activation = (9 if argument(op, "use_gelu", False) else 1) * op.output.numel
    return contraction(op, op.output.numel * op.tensor("mat1").shape[-1], _sum_flops(op) + activation)


@BUILTIN.formula("aten.addbmm")
def added_batch_product(op: OpRecord) -> Cost:
    """As addmm; the products of all batches are summed as well."""
    batch, _, inner = op.tensor("batch1").shape
    return contraction(op, op.output.numel * batch * inner, _sum_flops(op))


@BUILTIN.formula("aten.addr")
def added_outer_product(op: OpRecord) -> Cost:
    """1 multiply per output element, then as addmm; nothing is summed along an axis, so no MAdd."""
    return per_element(op, 1, op.output.numel * multiplication(op) + _sum_flops(op))


@BUILTIN.formula("aten.sparse_sampled_addmm")
def sampled_product(op: OpRecord) -> Cost:
    """MAdds = stored output elements x contracted length; the sum counts per stored element."""
    return contraction(op, stored(op.tensor("self")) * op.tensor("mat1").shape[-1], stored(op.tensor("self")))


@BUILTIN.formula("aten.linear", "aten.mkldnn_linear", "mkldnn._linear_pointwise", "mkl._mkl_linear")
def linear(op: OpRecord) -> Cost:
    """MAdds = output elements x input features; 1 per output element for the bias, 1 for a fused activation."""
    has_bias = op.has_tensor("bias") or op.has_tensor("B")
    extra = has_bias + (argument(op, "attr", "none") != "none")
    return contraction(op, op.output.numel * first_tensor(op, "input", "self", "X").shape[-1], extra * op.output.numel)


@BUILTIN.formula("aten.linear_backward", "aten.mkldnn_linear_backward")
def linear_backward(op: OpRecord) -> Cost:
    """MAdds of the forward once per wanted gradient of input and weight; the bias gradient sums the rows."""
    grad, features = op.tensor("grad_output"), op.tensor("self").shape[-1]
    mask = argument(op, "output_mask", (True, True, True))
    bias_sum = grad.numel - grad.shape[-1] if mask[2] else 0
    return contraction(op, grad.numel * features * sum(map(bool, mask[:2])), bias_sum)


@BUILTIN.formula("aten.mkldnn_linear_backward_input")
def linear_backward_input(op: OpRecord) -> Cost:
    """MAdds = output-gradient elements x input features."""
    return contraction(op, op.tensor("grad_output").numel * op.output.shape[-1])


@BUILTIN.formula("aten.mkldnn_linear_backward_weights")
def linear_backward_weights(op: OpRecord) -> Cost:
    """MAdds = output-gradient elements x input features; the bias gradient sums the rows."""
    grad = op.tensor("grad_output")
    bias_sum = grad.numel - grad.shape[-1] if argument(op, "bias_defined", False) else 0
    return contraction(op, grad.numel * op.tensor("input").shape[-1], bias_sum)


@BUILTIN.formula("aten.matmul_backward")
def matmul_backward(op: OpRecord) -> Cost:
    """MAdds of the forward once per wanted gradient."""
    inner = op.tensor("self").shape[-1]
    return contraction(op, op.tensor("grad").numel * inner * sum(map(bool, argument(op, "mask", (True, True)))))


@BUILTIN.formula("aten.tensordot")
def tensordot(op: OpRecord) -> Cost:
    """MAdds = output elements x product of the contracted axes."""
    left = op.tensor("self")
    return contraction(op, op.output.numel * prod(left.shape[axis] for axis in op.arguments["dims_self"]))


@BUILTIN.formula("aten.chain_matmul", "aten.linalg_multi_dot", source=DERIVED)
def chained_product(op: OpRecord) -> Cost:
    """MAdds of the cheapest order of the products, which torch also takes."""
    shapes = [tensor.shape for tensor in op.inputs]
    first = shapes[0][0] if len(shapes[0]) == 2 else 1
    sizes = [first, *(shape[0] for shape in shapes[1:]), shapes[-1][1] if len(shapes[-1]) == 2 else 1]
    return contraction(op, _cheapest_chain(sizes))


@BUILTIN.formula("aten._foreach_mm")
def product_per_pair(op: OpRecord) -> Cost:
    """MAdds of one matrix product per pair of the lists."""
    pairs = zip(op.outputs, op.tensors("self"), strict=True)
    return contraction(op, sum(output.numel * left.shape[-1] for output, left in pairs))


@BUILTIN.formula("aten._grouped_mm")
def grouped_product(op: OpRecord) -> Cost:
    """MAdds = each row times the matrix of its group; rows that the offsets leave out count too."""
    bias = op.output.numel if op.has_tensor("bias") else 0
    return contraction(op, _grouped_madds(op), bias)


@BUILTIN.formula("aten._scaled_grouped_mm", "aten._scaled_grouped_mm_v2")
def scaled_grouped_product(op: OpRecord) -> Cost:
    """As _grouped_mm, plus 2 per output element for the two scales."""
    return contraction(op, _grouped_madds(op), (2 + op.has_tensor("bias")) * op.output.numel)


@BUILTIN.formula("aten._scaled_mm", "aten._scaled_mm_v2")
def scaled_product(op: OpRecord) -> Cost:
    """MAdds of the product, 2 per output element for the two scales, 1 for the bias."""
    products = op.output.numel * op.tensor("self").shape[-1]
    return contraction(op, products, (2 + op.has_tensor("bias")) * op.output.numel)


def _grouped_madds(op: OpRecord) -> int:
    left, right = op.tensor("self"), op.tensor("mat2")
    products = op.output.numel * left.shape[-1]
    # Two plain matrices are grouped along the contracted axis: each group sums only its own part of it.
    return products // op.output.shape[0] if len(left.shape) == len(right.shape) == 2 and products else products


def _sum_flops(op: OpRecord) -> int:
    """Adding ``self`` to a product, and scaling by alpha and beta; beta 0 ignores ``self``."""
    alpha, beta = argument(op, "alpha", 1), argument(op, "beta", 1)
    steps = int(alpha != 1) + int(beta not in (0, 1)) + int(beta != 0)
    return op.output.numel * steps


def _product(op: OpRecord, left: TensorRecord, right: TensorRecord, extra: int = 0) -> Cost | None:
    if left.nnz is not None and right.nnz is not None:
        return None  # two sparse operands: the work depends on where their elements lie
    if left.nnz is not None:
        return contraction(op, left.nnz * (right.shape[-1] if len(right.shape) > 1 else 1), extra)
    if right.nnz is not None:
        return contraction(op, left.numel // left.shape[-1] * right.nnz if left.numel else 0, extra)
    return contraction(op, op.output.numel * left.shape[-1], extra)


def _cheapest_chain(sizes: list[int]) -> int:
    """Multiply-adds of the best bracketing of matrices sizes[i] x sizes[i + 1] (the textbook dynamic programme)."""
    count = len(sizes) - 1
    best = {(start, start): 0 for start in range(count)}
    for length in range(1, count):
        for start in range(count - length):
            end = start + length
            best[start, end] = min(
                best[start, cut] + best[cut + 1, end] + sizes[start] * sizes[cut + 1] * sizes[end + 1]
                for cut in range(start, end)
            )
    return best[0, count - 1]
