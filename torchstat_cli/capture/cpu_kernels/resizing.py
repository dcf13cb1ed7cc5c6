"""What resizing by interpolation holds on the CPU."""

from __future__ import annotations

from math import ceil

from torchstat_cli.capture.cpu_kernels.table import holds, size
from torchstat_cli.capture.layouts import channels_last
from torchstat_cli.records import OpRecord

_SMALL = 128  # height and width of a result together, up to which torch lays the channels last
_FEW = 3  # channels, up to which it does not keep them last
_INDEX_BYTES = 8
_TAPS = {"nearest": 1, "linear": 2, "bilinear": 2, "trilinear": 2, "bicubic": 4}  # places that a result is made of


@holds("upsample_nearest2d", "_upsample_nearest_exact2d", "upsample_bilinear2d")
def with_channels_last(record: OpRecord) -> int:
    """A small result is made with the channels last, from an input in that order."""
    given, result = record.inputs[0], record.output
    last = channels_last(given.shape, given.stride)
    if last and given.shape[1] > _FEW:
        return 0
    if sum(result.shape[-2:]) <= _SMALL:
        return 0 if last or given.shape[1] == 1 else size(given) + size(result)
    return places(record)


@holds(
    *("upsample_nearest1d", "_upsample_nearest_exact1d", "upsample_linear1d", "upsample_bicubic2d"),
    *("upsample_nearest3d", "_upsample_nearest_exact3d", "upsample_trilinear3d"),
)
def places(record: OpRecord) -> int:
    """For every row, column and plane of the result, the places that it is made of and their weights."""
    kind = next(kind for kind in ("nearest", "trilinear", "bilinear", "bicubic", "linear") if kind in record.name)
    result = record.output
    return sum(result.shape[2:]) * _TAPS[kind] * (_INDEX_BYTES + result.itemsize)


@holds("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa")
def antialiased(record: OpRecord) -> int:
    """The picture resized in its width, and the weights of one axis."""
    given, result = record.inputs[0], record.output
    reach = 2 if "bicubic" in record.name else 1
    weights = []
    for before, after in zip(given.shape[2:], result.shape[2:], strict=True):
        taps = 2 * ceil(reach * max(1.0, before / max(after, 1))) + 1
        weights.append(after * (taps * result.itemsize + 4 * _INDEX_BYTES) if before != after else 0)
    halfway = given.numel // max(given.shape[3], 1) * result.shape[3] * result.itemsize
    return max(weights) + (halfway if all(weights) else 0)
