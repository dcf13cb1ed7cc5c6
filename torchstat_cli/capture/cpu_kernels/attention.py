"""The blocks of scores that the CPU's own flash attention holds, for two threads."""

from __future__ import annotations

from dataclasses import replace

from torchstat_cli.capture.cpu_kernels.table import copy_of, holds
from torchstat_cli.records import OpRecord, TensorRecord

_THREADS = 2
_ROWS = ((768, 256), (192, 64), (0, 32))  # from so many queries, blocks of so many rows
_COLUMNS = 512
_NUMBER_BYTES = 4  # scores are float32, in double precision float64


@holds("_scaled_dot_product_flash_attention_for_cpu")
def blocks(record: OpRecord) -> int:
    """Scores, the largest and the sum of each row, and the rows of the result."""
    query, rows, columns = _block(record)
    return _THREADS * rows * (columns + 2 + query.shape[-1]) * max(_NUMBER_BYTES, query.itemsize)


@holds("_scaled_dot_product_flash_attention_for_cpu_backward")
def blocks_backward(record: OpRecord) -> int:
    """Scores and their gradients, a sum for each row, and the gradient with the heads beside the numbers of a head."""
    query, rows, columns = _block(record)
    copied = copy_of(_heads_inward(record.tensor("grad_out")))
    return copied + (_THREADS * 2 * rows * columns + rows) * max(_NUMBER_BYTES, query.itemsize)


def _heads_inward(tensor: TensorRecord) -> TensorRecord:
    """The view with axes 1 and 2 exchanged."""

    def exchanged(axes: tuple[int, ...]) -> tuple[int, ...]:
        return (axes[0], axes[2], axes[1], *axes[3:])

    return replace(tensor, shape=exchanged(tensor.shape), stride=exchanged(tensor.stride))


def _block(record: OpRecord) -> tuple[TensorRecord, int, int]:
    query, key = record.tensor("query"), record.tensor("key")
    rows = next(rows for least, rows in _ROWS if query.shape[2] >= least)
    return query, min(rows, query.shape[2]), min(_COLUMNS, key.shape[2])
