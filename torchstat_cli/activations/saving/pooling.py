"""Reduce a sequence of embeddings to one: mean, first, last or a chosen token; padding left out where it is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from torchstat_cli.errors import SelectionError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMATS = ("full", "mean", "LT", "FT", "custom")


def check_format(emb_format: str, custom_position: int | None) -> None:
    """Raise for a format that does not exist or lacks its position.

    Raises:
        SelectionError: a ``ValueError``.
    """
    if emb_format not in FORMATS:
        raise SelectionError(f"there is no embedding format {emb_format!r}", f"choose one of {', '.join(FORMATS)}")
    if emb_format == "custom" and custom_position is None:
        raise SelectionError("the embedding format 'custom' has no token", "give custom_position")


def reformat(
    outputs: Any, emb_format: str, sequence_axis: int = 1, custom_position: int | None = None, mask: Any = None
) -> Any:
    """``outputs`` in ``emb_format``, as the kind of array that it was.

    Args:
        outputs: numpy array or tensor; batch first, tokens along ``sequence_axis``.
        mask: (batch, tokens), non-zero for real tokens. Then the mean is over real tokens, the first and last are the
            first and last real ones, and a custom position counts real ones. Ignored where its shape does not fit.

    Raises:
        IndexError: ``custom_position`` beyond the (real) tokens.
        ValueError: the mask leaves a row without any token.
    """
    if emb_format == "full":
        return outputs
    fitting = _fitting(mask, outputs.shape, sequence_axis)
    if isinstance(outputs, Tensor):
        return _reformat_tensor(outputs, emb_format, sequence_axis, custom_position, fitting)
    if emb_format == "mean":
        return _mean(outputs, sequence_axis, fitting)
    position = {"FT": 0, "LT": -1}.get(emb_format, custom_position)
    if fitting is None:
        return outputs[_index(outputs.ndim, sequence_axis, position)]
    return _take(outputs, sequence_axis, _real_positions(fitting, position))


def _index(ndim: int, axis: int, position: int | None) -> tuple[Any, ...]:
    index: list[Any] = [slice(None)] * ndim
    index[axis] = position
    return tuple(index)


def _fitting(mask: Any, shape: tuple[int, ...], axis: int) -> NDArray[np.bool_] | None:
    """The mask as a boolean array, None where it cannot be this output's."""
    if mask is None:
        return None
    import numpy as np

    array = np.asarray(mask.detach().cpu() if isinstance(mask, Tensor) else mask).astype(bool)
    if array.ndim != 2 or len(shape) < 2 or axis % len(shape) == 0:
        return None
    if array.shape != (shape[0], shape[axis]):
        return None
    if not array.any(axis=1).all():
        raise ValueError(f"row {int(array.any(axis=1).argmin())} of the mask is all padding, so it has no embedding")
    return array


def _mean(outputs: NDArray[Any], axis: int, mask: NDArray[np.bool_] | None) -> NDArray[Any]:
    import numpy as np

    if mask is None:
        return np.asarray(np.mean(outputs, axis=axis))
    shape = [1] * outputs.ndim
    shape[0], shape[axis] = mask.shape
    weights = mask.reshape(shape)
    # Padding may hold anything, NaN too: it is replaced, not multiplied away.
    total = np.where(weights, outputs, 0).sum(axis=axis, dtype=np.float64)
    return np.asarray(total / weights.sum(axis=axis)).astype(outputs.dtype)


def _real_positions(mask: NDArray[np.bool_], position: int | None) -> NDArray[np.int64]:
    """For each row the index of its ``position``-th real token, (batch,)."""
    import numpy as np

    assert position is not None
    rows = [np.flatnonzero(row) for row in mask]
    short = [index for index, row in enumerate(rows) if not -len(row) <= position < len(row)]
    if short:
        raise IndexError(f"row {short[0]} has {len(rows[short[0]])} real tokens, so there is no token {position}")
    return np.array([row[position] for row in rows], dtype=np.int64)


def _take(outputs: NDArray[Any], axis: int, positions: NDArray[np.int64]) -> NDArray[Any]:
    import numpy as np

    shape = [1] * outputs.ndim
    shape[0] = len(positions)
    return np.take_along_axis(outputs, positions.reshape(shape), axis=axis).squeeze(axis)


def _reformat_tensor(
    outputs: Tensor, emb_format: str, axis: int, custom_position: int | None, mask: NDArray[np.bool_] | None
) -> Tensor:
    """The same for a tensor, in its own dtype (which numpy may not have)."""
    if emb_format == "mean":
        if mask is None:
            return outputs.float().mean(dim=axis).to(outputs.dtype)
        return torch.from_numpy(_mean(outputs.detach().cpu().float().numpy(), axis, mask)).to(outputs)
    position = {"FT": 0, "LT": -1}.get(emb_format, custom_position)
    if mask is None:
        return outputs[_index(outputs.dim(), axis, position)]
    shape = [1] * outputs.dim()
    shape[0] = mask.shape[0]
    positions = torch.from_numpy(_real_positions(mask, position)).reshape(shape).to(outputs.device)
    # Gathering moves bits, so dtypes that cannot compute are gathered as integers of the same width.
    bits = outputs.detach() if outputs.element_size() > 1 else outputs.detach().view(torch.uint8)
    return torch.take_along_dim(bits, positions, dim=axis).squeeze(axis).view(outputs.dtype)
