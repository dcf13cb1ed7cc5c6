"""Automatic mixed precision on meta, where torch has none: autocast knows devices, and meta is not among them.

Meta tensors stand for tensors of the device that the model is at home on. So whoever asks for autocast on meta, or
switches it there, means that device; and while its autocast is on, calls cast as they would there. As torch does,
contractions run in the low precision, sensitive operations in float32; the low-precision copy of a parameter is made
once per autocast region and kept until its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from torchstat_cli.torch_access.patching import replaced
from torchstat_cli.torch_access.trees import map_tensors

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

_LOW_ON_CPU = (
    *(pair for pair in _LOW if pair[1] != "bilinear" and not pair[1].endswith("_cell")),
    (F, "prelu"),
)
"""The same list for CPUs."""

_FULL_ON_CPU: tuple[tuple[Any, str], ...] = (
    *((F, name) for name in ("cross_entropy", "nll_loss", "mse_loss", "l1_loss", "kl_div", "smooth_l1_loss")),
    *((F, name) for name in ("huber_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits")),
    *((F, name) for name in ("adaptive_avg_pool3d", "avg_pool3d", "ctc_loss")),
    *((owner, name) for owner in (torch, Tensor) for name in ("prod", "inverse", "quantile")),
    (torch, "cdist"),
)
"""Run in float32 on CPUs: losses and little else; norms, softmax and sums stay in the low precision there."""

_QUESTIONS: tuple[tuple[Any, str], ...] = (
    (torch, "is_autocast_enabled"),
    (torch, "get_autocast_dtype"),
    (torch, "set_autocast_dtype"),
    (torch.amp, "is_autocast_available"),
    (torch.amp.autocast_mode, "is_autocast_available"),
)
"""Functions of torch whose first argument may be the type of a device."""


@contextmanager
def autocast_on_meta(home: torch.device) -> Iterator[None]:
    """Within, autocast treats meta tensors as those of ``home``. It is off at first, and afterwards as before.

    Only calls of this thread are cast.
    """
    device = home.type if home.type != "meta" and torch.amp.is_autocast_available(home.type) else "cpu"
    enabled, dtype = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
    with ExitStack() as stack:
        casts = _Casts(device, stack)
        for owner, name in _QUESTIONS:
            stack.enter_context(replaced(owner, name, partial(_asked_of, device)))
        stack.enter_context(replaced(torch, "set_autocast_enabled", casts.watching))
        stack.enter_context(replaced(torch, "set_autocast_enabled", partial(_asked_of, device)))
        stack.enter_context(replaced(torch, "clear_autocast_cache", casts.forgetting))
        stack.callback(torch.set_autocast_dtype, device, dtype)
        stack.callback(torch.set_autocast_enabled, device, enabled)
        torch.set_autocast_enabled(device, False)
        yield


def _asked_of(device: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """``original``, asked of ``device`` where it is asked of meta."""

    def ask(*args: Any, **kwargs: Any) -> Any:
        if args and args[0] == "meta":
            args = (device, *args[1:])
        if kwargs.get("device_type") == "meta":
            kwargs["device_type"] = device
        return original(*args, **kwargs)

    return ask


class _Casts:
    """The casts themselves, in place from the moment that a region first switches autocast on: most models never do."""

    def __init__(self, device: str, stack: ExitStack) -> None:
        self._device, self._stack = device, stack
        self._in_place = False
        self._copies: dict[int, tuple[Tensor, Tensor]] = {}  # by the id of a parameter: it, and its cast

    def watching(self, switch: Callable[..., Any]) -> Callable[..., Any]:
        """``torch.set_autocast_enabled``, which puts the casts in place."""

        def call(*args: Any, **kwargs: Any) -> None:
            switch(*args, **kwargs)
            if not self._in_place and torch.is_autocast_enabled(self._device):
                self._in_place = True
                of_cpu = self._device == "cpu"
                low, full = (_LOW_ON_CPU, _FULL_ON_CPU) if of_cpu else (_LOW, _FULL)
                for names, change in ((low, self._lower), (full, self._raise)):
                    for owner, name in names:
                        if hasattr(owner, name):
                            self._stack.enter_context(replaced(owner, name, partial(self._casting, change)))

        return call

    def forgetting(self, clear: Callable[[], None]) -> Callable[[], None]:
        """``torch.clear_autocast_cache``, which torch calls at the end of the outermost region."""

        def call() -> None:
            clear()
            self._copies.clear()

        return call

    def _casting(self, change: Callable[[Tensor], Tensor], original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if torch.is_autocast_enabled(self._device):
                args, kwargs = map_tensors((args, kwargs), change)
            return original(*args, **kwargs)

        return call

    def _lower(self, tensor: Tensor) -> Tensor:
        dtype = torch.get_autocast_dtype(self._device)
        if not _casts(tensor, dtype):
            return tensor
        is_kept = tensor.is_leaf and tensor.requires_grad and tensor.dtype is torch.float32
        if not is_kept or not torch.is_autocast_cache_enabled():
            return tensor.to(dtype)
        if id(tensor) not in self._copies:
            self._copies[id(tensor)] = tensor, tensor.to(dtype)
        return self._copies[id(tensor)][1]

    def _raise(self, tensor: Tensor) -> Tensor:
        return tensor.float() if _casts(tensor, torch.float32) else tensor


def _casts(tensor: Tensor, dtype: torch.dtype) -> bool:
    """torch leaves float64 and whatever is no real floating tensor alone."""
    return tensor.is_floating_point() and tensor.dtype not in (dtype, torch.float64)
