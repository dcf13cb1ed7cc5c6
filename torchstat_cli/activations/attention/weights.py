"""Follow the result of a softmax until the model uses it: what it masks, and which columns it cuts off."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor

from torchstat_cli.activations.outputs import copy_tensor, snapshot_tensor

# What changes weights, or their dtype, and leaves them weights.
_MASKING = frozenset({"masked_fill", "masked_fill_", "setitem", "nan_to_num", "nan_to_num_", "where"})
_CASTING = frozenset({"to", "type_as", "type", "float", "half", "bfloat16", "double", "contiguous"})


class Weights:
    """Attention weights, from the softmax to their last form before dropout."""

    def __init__(self, result: Tensor) -> None:
        self._value = snapshot_tensor(result.detach())
        self._live = weakref.ref(result)
        self._dropped = False  # whether dropout has had its turn
        self._used = False  # whether the model has used all columns
        self._kept: tuple[int, int] | None = None  # the columns that alone it went on with

    @property
    def value(self) -> Tensor:
        """The weights that go to keys."""
        if self._kept is None:
            return self._value
        return copy_tensor(self._value[..., slice(*self._kept)])

    @property
    def cut(self) -> Tensor | None:
        """The weights that the model drops: columns for sinks, which are no keys. None where it drops nothing."""
        if self._kept is None:
            return None
        start, end = self._kept
        return copy_tensor(self._value[..., end:] if start == 0 else self._value[..., :start])

    def follow(self, name: str, args: tuple[Any, ...], result: Any) -> None:
        """Look at one operator call; those on other tensors do not matter."""
        live = self._live()
        if live is None or not any(argument is live for argument in args):
            return
        if name in _MASKING or name in _CASTING:
            changed = live if name == "setitem" else result
            if isinstance(changed, Tensor) and changed.shape == live.shape:
                self._live = weakref.ref(changed)
                if not self._dropped and (changed is not live or name in _MASKING):
                    self._value = snapshot_tensor(changed.detach())
        elif name == "dropout" and isinstance(result, Tensor):
            self.after_dropout(live, result)
        elif isinstance(result, (Tensor, tuple, list)) and not isinstance(result, torch.Size):
            # Columns are dropped where the model goes on with the others, and comes back to the whole no more.
            self._kept = None if self._used else _kept_columns(live, result)
            self._used = True

    def after_dropout(self, given: Any, result: Tensor) -> None:
        """``given`` has gone through dropout; if it was the weights, no map shows what comes of them."""
        live = self._live()
        if live is None or given is not live or result is live:
            return
        # Without effect, as in evaluation, torch returns its argument, or another view of it.
        self._dropped = self._dropped or result.data_ptr() != live.data_ptr()
        self._live = weakref.ref(result)


def _kept_columns(live: Tensor, piece: Any) -> tuple[int, int] | None:
    """The columns of ``live`` that its view ``piece`` shows: most of them, all but some at the start or the end."""
    if not isinstance(piece, Tensor) or not piece._is_view() or piece.dim() != live.dim():
        return None
    width, whole = piece.size(-1), live.size(-1)
    if piece.shape[:-1] != live.shape[:-1] or piece.stride() != live.stride() or not width < whole < 2 * width:
        return None
    start = (piece.storage_offset() - live.storage_offset()) // max(live.stride(-1), 1)
    return (start, start + width) if start in (0, whole - width) else None
