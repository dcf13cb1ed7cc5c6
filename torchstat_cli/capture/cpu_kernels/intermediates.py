"""Tensors that a kernel of the CPU makes on its way to a small result."""

from __future__ import annotations

from torchstat_cli.capture.cpu_kernels.table import copy_of, holds, size
from torchstat_cli.records import OpRecord, TensorRecord

_INDEX_BYTES = 8
_NO_REDUCTION = 0
_BY_PRODUCT = 25  # rows of either side, from which distances are found by a product of matrices


@holds("dist", "corrcoef")
def differences(record: OpRecord) -> int:
    """A difference for every element."""
    return size(record.inputs[0])


@holds("cov")
def deviations(record: OpRecord) -> int:
    """Deviations from the mean, and these times their weights."""
    return 2 * size(record.inputs[0])


@holds("affine_grid_generator")
def homogeneous(record: OpRecord) -> int:
    """The places with a one beside their coordinates."""
    result = record.output
    return result.numel // max(result.shape[-1], 1) * (result.shape[-1] + 1) * result.itemsize


@holds("mse_loss", "smooth_l1_loss", "huber_loss")
def one_per_element(record: OpRecord) -> int:
    """A loss for every element, before these are added up."""
    return size(record.inputs[0]) if record.arguments["reduction"] != _NO_REDUCTION else 0


@holds("binary_cross_entropy_with_logits")
def two_per_element(record: OpRecord) -> int:
    """The loss and the logarithm in it."""
    given = size(record.inputs[0])
    return 2 * given if record.arguments["reduction"] != _NO_REDUCTION else given


@holds("logsumexp")
def exponentials(record: OpRecord) -> int:
    """All exponentials, and the largest of every row."""
    return size(record.inputs[0]) + size(record.output)


@holds("kthvalue")
def ranked(record: OpRecord) -> int:
    """A copy that is partly sorted, with the place of every element."""
    given = record.inputs[0]
    return size(given) + given.numel * _INDEX_BYTES


@holds("median", "nanmedian")
def middle(record: OpRecord) -> int:
    """A copy with the axis last."""
    given = record.inputs[0]
    axis = record.arguments.get("dim")
    if axis is None:
        return size(given)
    last = int(axis) % max(1, len(given.shape)) == len(given.shape) - 1
    return copy_of(given) if last else size(given)


@holds("_unique2", "unique_dim")
def sorted_values(record: OpRecord) -> int:
    """The sorted elements and, twice, the place of each."""
    given = record.inputs[0]
    return size(given) + 2 * given.numel * _INDEX_BYTES


@holds("index", "index_put", "index_put_")
def masked(record: OpRecord) -> int:
    """The places where a mask is true: a number for each and axis."""
    masks = [index for index in record.tensors("indices") if index.dtype in ("bool", "uint8")]
    if not masks:
        return 0
    chosen = record.output if record.name == "aten.index" else record.tensor("values")
    given = record.inputs[0]
    row = 1
    for width in given.shape[sum(len(mask.shape) for mask in masks) :]:
        row *= width
    return sum(chosen.numel // max(row, 1) * len(mask.shape) * _INDEX_BYTES for mask in masks)


@holds("_ctc_loss_backward")
def other_way_round(record: OpRecord) -> int:
    """The probabilities from the end of the sequence, beside those from its beginning."""
    return size(record.tensor("log_alpha"))


@holds("_euclidean_dist")
def by_product(record: OpRecord) -> int:
    """Both sets of vectors, each with its norms and a column of ones."""
    return _with_two_columns(record.inputs[0]) + _with_two_columns(record.inputs[1])


@holds("cdist", "_cdist_forward")
def distances(record: OpRecord) -> int:
    """The same where distances are Euclidean and there are enough of them."""
    first, second = record.inputs[:2]
    mode = record.arguments.get("compute_mode")
    many = first.shape[-2] > _BY_PRODUCT or second.shape[-2] > _BY_PRODUCT
    ordered = copy_of(first) + copy_of(second)
    if record.arguments["p"] != 2 or mode == 2 or not (mode == 1 or many):
        return ordered
    return ordered + by_product(record)


@holds("_cdist_backward")
def distances_backward(record: OpRecord) -> int:
    """All arguments in order."""
    return sum(map(copy_of, record.inputs))


def _with_two_columns(vectors: TensorRecord) -> int:
    return vectors.numel // max(vectors.shape[-1], 1) * (vectors.shape[-1] + 2) * vectors.itemsize


@holds("im2col", "col2im")
def resized(record: OpRecord) -> int:
    """The result starts as large as the input; where that is too small, both are there when it grows."""
    given, result = size(record.inputs[0]), size(record.output)
    return copy_of(record.inputs[0]) + (given if result > given else 0)


@holds("_embedding_bag_backward")
def sorted_indices(record: OpRecord) -> int:
    """The sorted indices, where each came from, and how often it is there."""
    return 3 * record.tensor("indices").numel * _INDEX_BYTES + copy_of(record.tensor("grad"))


@holds("_sparse_mm")
def zeros_beside_the_product(record: OpRecord) -> int:
    """The zeros that a product with a sparse matrix is added to."""
    return size(record.output) if record.output.nnz is None else 0
