"""What torchvision's operators hold on the CPU."""

from __future__ import annotations

from math import prod

from torchstat_cli.capture.cpu_kernels.table import holds, size
from torchstat_cli.records import OpRecord

_TOGETHER = 32  # images at most whose columns are made at once


@holds("torchvision.deform_conv2d")
def deformable(record: OpRecord) -> int:
    """The columns of some images, the products, and these in the order of the result before the bias is added."""
    given, weight, result = record.tensor("input"), record.tensor("weight"), record.output
    batch = given.shape[0]
    together = max((count for count in range(1, min(_TOGETHER, batch) + 1) if batch % count == 0), default=0)
    columns = given.shape[1] * prod(weight.shape[2:]) * together * prod(result.shape[2:])
    return columns * given.itemsize + 2 * size(result)
