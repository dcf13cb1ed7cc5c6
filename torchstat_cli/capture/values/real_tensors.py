"""Real tensors that meet meta tensors in one call: they move to meta, and small ones keep their values there.

A model makes real tensors in its forward pass: constants, masks, buffers to write to. torch refuses calls that mix them
with meta tensors.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch.nn import Parameter

from torchstat_cli.capture.dispatch.keys import Call
from torchstat_cli.capture.values.store import LIMIT, ValueStore, meta_like
from torchstat_cli.torch_access.trees import map_tensors


class RealTensors:
    """The real tensors of a run on meta, and which of them no longer hold what they should.

    Args:
        store: keeps the values of those that move.
    """

    def __init__(self, store: ValueStore) -> None:
        self._store = store
        self._stale: dict[int, torch.Tensor] = {}  # by storage: those to which unknown values were written

    def must_move(self, call: Call) -> bool:
        """Whether real tensors meet a meta tensor, are sent to meta, or have lost their values to a meta tensor."""
        on_meta = [tensor.is_meta for tensor in call.tensors]
        if any(on_meta):
            return not all(on_meta)
        if on_meta and call.func._opname in ("to", "_to_copy") and _names_meta(call):
            return True  # moved before, its arrival moves nothing: as where everything lies on one device
        return self._any_stale(call.tensors)

    def take_known_values(self, call: Call) -> bool:
        """Whether the call writes known values to real tensors, so that it can do so for real."""
        if not call.traits.mutable or any(tensor.is_meta for tensor in call.written()):
            return False
        return self._store.knows_all(call.tensors) and not self._any_stale(call.tensors)

    def moved(self, call: Call) -> Call:
        """The same call with its real tensors on meta, the values of small ones known.

        A real tensor that it writes to stays behind with values that are no longer true.
        """
        if call.traits.mutable:
            for tensor in call.written():
                if not tensor.is_meta:
                    self._stale[tensor.untyped_storage()._cdata] = tensor
        args, kwargs = map_tensors((call.args, call.kwargs), self._on_meta)
        stays = call.traits.on_cpu
        if stays is not None and stays < len(args) and not call.args[stays].is_meta:
            args = (*args[:stays], call.args[stays], *args[stays + 1 :])
        return call.with_arguments(args, kwargs)

    def _on_meta(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.is_meta:
            return tensor
        if self._any_stale((tensor,)):
            return meta_like(tensor)
        if isinstance(tensor, Parameter):
            return self._store.twin(tensor)
        moved = meta_like(tensor)  # a new one each time: the run may have written to the real tensor since
        if tensor.numel() <= LIMIT:
            self._store.remember(moved, tensor.detach().to("cpu", copy=True))
        return moved

    def _any_stale(self, tensors: Iterable[torch.Tensor]) -> bool:
        return bool(self._stale) and any(
            not tensor.is_meta and tensor.untyped_storage()._cdata in self._stale for tensor in tensors
        )


def _names_meta(call: Call) -> bool:
    given: tuple[Any, ...] = (*call.args, *call.kwargs.values())
    return any(isinstance(value, torch.device) and value.type == "meta" for value in given)
