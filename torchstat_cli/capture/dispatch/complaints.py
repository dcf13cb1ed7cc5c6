"""What torch's own kernel says of arguments that do not fit: its meta kernels often leave the numbers out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchstat_cli.capture.dispatch.keys import Call
from torchstat_cli.torch_access.internals import without_dispatch_modes
from torchstat_cli.torch_access.trees import map_tensors

_MOST_BYTES = 1 << 26  # of arguments that are made for the question


def complain_as_the_cpu(call: Call, error: Exception) -> None:
    """Raise what the same call on real zeros raises; nothing where that works, or would take too much.

    Nothing may hold ``error`` afterwards: it leads to the tensors of the run, which a simulation of memory counts.
    """
    if isinstance(error, NotImplementedError) or not all(map(_is_plain_meta, call.tensors)):
        return
    if sum(tensor.numel() * tensor.element_size() for tensor in call.tensors) > _MOST_BYTES:
        return
    try:
        with without_dispatch_modes(), torch.no_grad():
            call.func(*_real(call.args), **_real(call.kwargs))
    except NotImplementedError:
        return
    except Exception as better:  # whatever the kernel says
        raise better from error


def _is_plain_meta(tensor: Tensor) -> bool:
    return tensor.is_meta and tensor.layout is torch.strided and not tensor.is_nested


def _real(arguments: Any) -> Any:
    return map_tensors(arguments, lambda tensor: torch.zeros(tensor.shape, dtype=tensor.dtype))
