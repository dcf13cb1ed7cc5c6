"""Compare what an operator call gives with torch's own answer: metadata and aliasing, nothing of the values."""

from __future__ import annotations

from typing import Any

import torch
from torch._ops import OpOverload
from torch.utils._pytree import tree_flatten

from torchstat_cli.capture.dispatch.keys import Call
from torchstat_cli.capture.dispatch.memo import Memo
from torchstat_cli.capture.dispatch.meta_kernels import CORRECTIONS
from torchstat_cli.records import OpRecord

_CANNOT_REPEAT = {torch.Tag.inplace_view, torch.Tag.dynamic_output_shape, torch.Tag.data_dependent_output}


def answer(result: Any, arguments: Any) -> tuple[Any, ...]:
    """Structure of ``result``; per tensor its shape, stride, dtype, offset and which earlier tensor shares its memory.

    A tensor of the arguments that comes back as itself is told apart from a view of it.
    """
    known = [leaf for leaf in tree_flatten(arguments)[0] if isinstance(leaf, torch.Tensor)]
    leaves, structure = tree_flatten(result)
    described = []
    for leaf in leaves:
        if not isinstance(leaf, torch.Tensor):
            described.append(leaf)
            continue
        storages = [tensor.untyped_storage()._cdata for tensor in known]
        storage = leaf.untyped_storage()
        same = next((index for index, tensor in enumerate(known) if tensor is leaf), None)
        shared = storages.index(storage._cdata) if storage._cdata in storages else None
        layout = (tuple(leaf.shape), leaf.stride(), leaf.dtype, leaf.storage_offset(), leaf.device.type)
        described.append((*layout, storage.nbytes(), same, shared))
        known.append(leaf)
    return str(structure), tuple(described)


class CheckingMemo(Memo):
    """A memo that asks torch as well, on every call, and collects where the two differ."""

    def __init__(self) -> None:
        super().__init__()
        self.checked = 0
        self.differences: list[str] = []

    def run(self, call: Call) -> tuple[OpRecord, Any]:
        """The memo's own answer, after it was compared with torch's."""
        return self._compared(super().run(call), call.func, call.args, call.kwargs)

    def _compared(
        self, told: tuple[OpRecord, Any], func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[OpRecord, Any]:
        if func.name() not in CORRECTIONS and not _CANNOT_REPEAT & set(func.tags):
            self.checked += 1
            expected, given = answer(func(*args, **kwargs), (args, kwargs)), answer(told[1], (args, kwargs))
            if expected != given:
                self.differences.append(f"{func.name()}: torch {expected}, memo {given}")
        return told
