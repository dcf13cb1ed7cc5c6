"""Numbers and lists that a model writes in Python keep their values on meta.

For ``x[:, [-1, 0]]`` and ``torch.tensor(3, device=x.device)`` torch makes a tensor below every observer, and on meta
that tensor has no values.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from torchstat_cli.capture.values.store import LIMIT, ValueStore, meta_like
from torchstat_cli.torch_access.internals import without_dispatch_modes
from torchstat_cli.torch_access.patching import replaced


@contextmanager
def literals_keep_values(store: ValueStore) -> Iterator[None]:
    """Within, meta tensors made of Python numbers, and lists that index meta tensors, have known values."""
    with ExitStack() as stack:
        stack.enter_context(replaced(Tensor, "__getitem__", partial(_remembering_index, store)))
        stack.enter_context(replaced(torch, "tensor", partial(_remembering_constructor, store)))
        yield


def _remembering_index(store: ValueStore, original: Any) -> Any:

    def known(index: list[Any]) -> Tensor:
        with without_dispatch_modes():
            value = torch.tensor(index)
            stand_in = meta_like(value)
        torch.ops.aten.lift_fresh(value)  # all that a tape sees where torch makes the tensor itself
        store.remember(stand_in, value)
        return stand_in

    def getitem(self: Tensor, index: Any) -> Any:
        if self.is_meta:
            if _is_list_of_numbers(index):
                index = known(index)
            elif type(index) is tuple and any(map(_is_list_of_numbers, index)):
                index = tuple(known(part) if _is_list_of_numbers(part) else part for part in index)
        return original(self, index)

    return getitem


def _remembering_constructor(store: ValueStore, original: Any) -> Any:
    def tensor(data: Any, *args: Any, **kwargs: Any) -> Tensor:
        made: Tensor = original(data, *args, **kwargs)
        if not made.is_meta or isinstance(data, Tensor):
            return made
        torch.ops.aten.lift_fresh(made)  # on a real device torch calls it by itself
        if made.numel() <= LIMIT:
            with without_dispatch_modes():
                store.remember(made, original(data, dtype=made.dtype, device="cpu"))
        return made

    return tensor


def _is_list_of_numbers(index: Any) -> bool:
    return type(index) is list and bool(index) and all(isinstance(item, (bool, int)) for item in index)
