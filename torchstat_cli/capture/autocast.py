"""Automatic mixed precision on meta, where torch has none: autocast knows devices, and meta is not among them.

As torch does, contractions run in the low precision, sensitive operations in float32; the low-precision copy of a
parameter is made once per autocast region and kept until its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from torchstat_cli.capture.replacing import replaced
from torchstat_cli.capture.trees import map_tensors

_LOW: tuple[tuple[Any, str], ...] = (
    *((F, name) for name in ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d")),
    *((F, name) for name in ("conv_transpose3d", "scaled_dot_product_attention", "bilinear")),
    *((torch, name) for name in ("conv1d", "conv2d", "conv3d", "matmul", "mm", "bmm", "addmm", "baddbmm", "addbmm")),
    *((torch, name) for name in ("einsum", "chain_matmul", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")),
    *((Tensor, name) for name in ("matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "addmm", "baddbmm")),
)
"""Run in the low precision: torch's list of operations that autocast to it."""

_FULL: tuple[tuple[Any, str], ...] = (
    *((F, name) for name in ("softmax", "log_softmax", "cross_entropy", "nll_loss", "mse_loss", "l1_loss", "kl_div")),
    *(
        (F, name)
        for name in ("layer_norm", "group_norm", "rms_norm", "smooth_l1_loss", "cosine_similarity", "softplus")
    ),
    *((torch, name) for name in ("softmax", "log_softmax", "layer_norm", "group_norm", "exp", "log", "pow", "rsqrt")),
    *((torch, name) for name in ("cumsum", "cumprod", "sum", "prod", "norm")),
    *((Tensor, name) for name in ("softmax", "log_softmax", "exp", "log", "pow", "__pow__", "rsqrt", "cumsum", "sum")),
)
"""Run in float32: torch's list for CUDA, as far as models use it."""


@contextmanager
def autocast_on_meta(dtype: torch.dtype) -> Iterator[dict[int, Tensor]]:
    """Autocast to ``dtype`` within the context; yields the copies of parameters, to be cleared where a region ends."""
    copies: dict[int, Tensor] = {}

    def lower(tensor: Tensor) -> Tensor:
        if not _casts(tensor, dtype):
            return tensor
        if not (tensor.is_leaf and tensor.requires_grad and tensor.dtype is torch.float32):
            return tensor.to(dtype)
        if id(tensor) not in copies:
            copies[id(tensor)] = tensor.to(dtype)
        return copies[id(tensor)]

    def raise_(tensor: Tensor) -> Tensor:
        return tensor.float() if _casts(tensor, torch.float32) else tensor

    with ExitStack() as stack:
        for names, change in ((_LOW, lower), (_FULL, raise_)):
            for owner, name in names:
                if hasattr(owner, name):
                    stack.enter_context(replaced(owner, name, _casting(getattr(owner, name), change)))
        yield copies


def _casting(original: Callable[..., Any], change: Callable[[Tensor], Tensor]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = map_tensors((args, kwargs), change)
        return original(*args, **kwargs)

    return call


def _casts(tensor: Tensor, dtype: torch.dtype) -> bool:
    """torch leaves float64 and whatever is no real floating tensor alone."""
    return tensor.is_floating_point() and tensor.dtype not in (dtype, torch.float64)
