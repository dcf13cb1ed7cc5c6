"""Indices written as lists keep their values on meta.

For ``x[:, [-1, 0]]`` torch makes a tensor of the list below every observer, and on meta that tensor has no values.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from torchstat_cli.capture.replacing import replaced
from torchstat_cli.capture.values import KnownValues, meta_like


@contextmanager
def lists_keep_values(values: KnownValues) -> Iterator[None]:
    """Within, lists that index meta tensors become meta tensors whose values are known."""
    original = Tensor.__getitem__

    def known(index: list[Any]) -> Tensor:
        with _disable_current_modes():
            value = torch.tensor(index)
            stand_in = meta_like(value)
        torch.ops.aten.lift_fresh(value)  # all that a tape sees where torch makes the tensor itself
        values.remember(stand_in, value)
        return stand_in

    def getitem(self: Tensor, index: Any) -> Any:
        if self.is_meta:
            if _is_list_of_numbers(index):
                index = known(index)
            elif type(index) is tuple and any(map(_is_list_of_numbers, index)):
                index = tuple(known(part) if _is_list_of_numbers(part) else part for part in index)
        return original(self, index)

    with replaced(Tensor, "__getitem__", getitem):
        yield


def _is_list_of_numbers(index: Any) -> bool:
    return type(index) is list and bool(index) and all(isinstance(item, (bool, int)) for item in index)
