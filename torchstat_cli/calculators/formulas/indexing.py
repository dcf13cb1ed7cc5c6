"""Selections that add up: scatter and index reductions, embedding bags, and gradients that return to their places."""

from __future__ import annotations

from torchstat_cli.calculators.counting import DERIVED, additions, argument, per_element
from torchstat_cli.calculators.registry import BUILTIN
from torchstat_cli.records import Cost, OpRecord

_SUM, _MEAN, _MAX = range(3)  # torch's numbers of the modes of an embedding bag


@BUILTIN.formula("aten.index_add")
def index_add(op: OpRecord) -> Cost:
    """1 per source element, 1 more for an alpha other than 1."""
    return per_element(op, 1 if argument(op, "alpha", 1) == 1 else 2, op.tensor("source").numel)


@BUILTIN.formula("aten.scatter_add", "aten.scatter.reduce", "aten.scatter.value_reduce")
def scatter_add(op: OpRecord) -> Cost:
    """1 per scattered element."""
    return per_element(op, 1, op.tensor("index").numel)


@BUILTIN.formula("aten.scatter_reduce", source=DERIVED)
def scatter_reduce(op: OpRecord) -> Cost:
    """1 per scattered element; a mean divides once per output element."""
    divisions = op.output.numel if argument(op, "reduce") == "mean" else 0
    return per_element(op, 1, op.tensor("index").numel + divisions)


@BUILTIN.formula("aten.index_reduce", source=DERIVED)
def index_reduce(op: OpRecord) -> Cost:
    """1 per source element; a mean divides once per output element."""
    divisions = op.output.numel if argument(op, "reduce") == "mean" else 0
    return per_element(op, 1, op.tensor("source").numel + divisions)


@BUILTIN.formula("aten.index_put", "aten._index_put_impl", "aten._unsafe_index_put")
@BUILTIN.formula("aten._unsafe_masked_index_put_accumulate")
def index_put(op: OpRecord) -> Cost:
    """Free when it overwrites, 1 per value when it accumulates."""
    accumulates = argument(op, "accumulate", False) or op.name.endswith("accumulate")
    return per_element(op, 1 if accumulates else 0, op.tensor("values").numel)


@BUILTIN.formula("aten.put")
def put(op: OpRecord) -> Cost:
    """Free when it overwrites, 1 per value when it accumulates."""
    return per_element(op, 1 if argument(op, "accumulate", False) else 0, op.tensor("source").numel)


@BUILTIN.formula("aten.index_select_backward", "aten.gather_backward")
@BUILTIN.formula("aten.unfold_backward", *(f"aten.reflection_pad{rank}d_backward" for rank in (1, 2, 3)))
@BUILTIN.formula(*(f"aten.replication_pad{rank}d_backward" for rank in (1, 2, 3)))
def added_back(op: OpRecord) -> Cost:
    """1 per element of the gradient, added where its value came from."""
    return per_element(op, 1, op.inputs[0].numel)


@BUILTIN.formula("aten.col2im")
def fold(op: OpRecord) -> Cost:
    """1 per input element, added to its place."""
    return per_element(op, 1, op.tensor("self").numel)


@BUILTIN.formula("aten.embedding_dense_backward", "aten.embedding_backward", "aten.embedding_sparse_backward")
def embedding_backward(op: OpRecord) -> Cost:
    """1 per element of the gradient, 1 more when scaled by frequency."""
    grad = op.inputs[0]
    return per_element(op, 2 if argument(op, "scale_grad_by_freq", False) else 1, grad.numel)


@BUILTIN.formula("aten.embedding_bag", "aten._embedding_bag", "aten._embedding_bag_forward_only", source=DERIVED)
def embedding_bag(op: OpRecord) -> Cost:
    """Looked-up elements less output elements; a mean divides, per-sample weights multiply."""
    gathered = op.tensor("indices").numel * op.tensor("weight").shape[-1]
    flops = additions(gathered, op.output.numel)
    if argument(op, "mode", _SUM) == _MEAN:
        flops += op.output.numel
    if op.has_tensor("per_sample_weights"):
        flops += gathered
    return per_element(op, 1, flops)


@BUILTIN.formula("aten._embedding_bag_backward", "aten._embedding_bag_dense_backward", source=DERIVED)
@BUILTIN.formula("aten._embedding_bag_sparse_backward", source=DERIVED)
def embedding_bag_backward(op: OpRecord) -> Cost:
    """1 per looked-up element, 1 more when a mean or per-sample weights scale it."""
    scales = argument(op, "mode", _SUM) == _MEAN or op.has_tensor("per_sample_weights")
    grad = op.tensor("grad")
    return per_element(op, 2 if scales else 1, op.tensor("indices").numel * grad.shape[-1])


@BUILTIN.formula("aten._embedding_bag_per_sample_weights_backward", source=DERIVED)
def embedding_bag_weights_backward(op: OpRecord) -> Cost:
    """2 per looked-up element: a dot product of row and gradient for each index."""
    return per_element(op, 2, op.tensor("indices").numel * op.tensor("grad").shape[-1])
