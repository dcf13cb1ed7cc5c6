"""Work that leaves torch, and that no tape sees: tensors in numpy or another library, modules in other threads.

Each is recorded under a name that no formula knows, so that every output marks the totals as lower bounds. Integers are
let pass: lengths and indices that are read in numpy are no floating-point work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from torchstat_cli.records import OpRecord
from torchstat_cli.torch_access.patching import replaced

NUMPY = OpRecord("work in numpy", "default", {}, ())
OTHER_LIBRARY = OpRecord("work in another library", "default", {}, ())
OTHER_THREAD = OpRecord("work in another thread", "default", {}, ())

Note = Callable[[OpRecord], None]
"""Gets the record of work that was handed away."""

_WAYS_OUT: tuple[tuple[Any, str, OpRecord], ...] = (
    (Tensor, "numpy", NUMPY),  # numpy.asarray(tensor) and numpy's functions call it as well
    (Tensor, "__dlpack__", OTHER_LIBRARY),
    (torch.utils.dlpack, "to_dlpack", OTHER_LIBRARY),
)


@contextmanager
def watched_ways_out(note: Note) -> Iterator[None]:
    """Within, ``note`` gets a record for each floating tensor of this thread that is handed out of torch."""
    with ExitStack() as stack:
        for owner, name, record in _WAYS_OUT:
            stack.enter_context(replaced(owner, name, partial(_noting, note, record)))
        yield


def _noting(note: Note, record: OpRecord, original: Callable[..., Any]) -> Callable[..., Any]:
    def hand_out(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        result = original(tensor, *args, **kwargs)
        if tensor.is_floating_point() or tensor.is_complex():
            note(record)
        return result

    return hand_out
