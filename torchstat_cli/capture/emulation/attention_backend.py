"""The kernel that scaled dot-product attention runs with is an input: one machine can stand for another.

On meta torch always takes the plain form, which keeps the whole matrix of scores; on a GPU it would hardly ever. So for
the length of a run the function is replaced by one that calls the operator of the wanted backend, whose meta kernels
and gradients torch has on every machine. Replacing the function, unlike a function mode, also reaches
``nn.MultiheadAttention`` and the forwards that checkpointing runs again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from torchstat_cli.capture.emulation.gpu_attention import gpu_attention_on_cpu
from torchstat_cli.errors import UsageError
from torchstat_cli.torch_access.internals import attention_kernel, fused_attention_choice, without_dispatch_modes
from torchstat_cli.torch_access.patching import replaced

Backend = Literal["auto", "math", "flash", "efficient"]
BACKENDS: tuple[str, ...] = get_args(Backend)

_HALF = (torch.float16, torch.bfloat16)
_FLASH_WIDTH = 256  # widest head of the flash kernels
_ALIGNMENT = 8  # the kernels pad heads, and rows of a mask, to multiples of this many elements
_MATH = 0  # torch's number of the plain form


class AttentionChoice:
    """The backend of every call of a run, chosen as asked, and as torch would where that cannot be."""

    def __init__(self, asked: Backend) -> None:
        self.asked = asked
        self._taken: Counter[str] = Counter()
        self._on_cpu: dict[Any, str] = {}

    @property
    def words(self) -> str:
        """The choice as a report says it: ``flash``, or ``flash (math in 2 of 12 calls)``."""
        others = {name: calls for name, calls in sorted(self._taken.items()) if name != self.asked}
        if self.asked == "auto" or not others:
            return self.asked
        told = ", ".join(f"{name} in {calls} of {self._taken.total()} calls" for name, calls in others.items())
        return f"{self.asked} ({told})"

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        """In place of ``torch.nn.functional.scaled_dot_product_attention``."""
        if attn_mask is not None and query.is_meta and not attn_mask.is_meta:
            attn_mask = torch.empty_like(attn_mask, device="meta")  # a stray real tensor, held outside the registries
        call = (query, key, value, attn_mask, dropout_p, is_causal, scale, enable_gqa)
        backend = self._on_cpu_for(call) if self.asked == "auto" else _possible(self.asked, call)
        self._taken[backend] += 1
        return _RUN[backend](*call)

    def _on_cpu_for(self, call: tuple[Any, ...]) -> str:
        """What torch takes on the CPU, asked of torch once per distinct call."""
        key = tuple(_signature(value) for value in call)
        if key not in self._on_cpu:
            self._on_cpu[key] = taken_on_the_cpu(*call)
        return self._on_cpu[key]


@contextmanager
def attention_backend(asked: str, place: str, *, trains: bool) -> Iterator[AttentionChoice]:
    """Attention runs with ``asked`` within the context.

    Args:
        asked: "auto" is what torch would choose on the CPU.
        place: the type of device of the run. On "meta" and "cpu" a GPU's kernel is simulated; elsewhere torch's own
            switch is set, and torch refuses what the device cannot do.
        trains: the run has gradients; without, a fused operator stands for itself.

    Raises:
        UsageError: there is no such backend.
    """
    if asked not in BACKENDS:
        raise UsageError(f"there is no attention backend {asked!r}", f"use one of {', '.join(BACKENDS)}")
    choice = AttentionChoice(asked)  # type: ignore[arg-type]
    if asked == "auto" and not (place == "meta" and trains):
        yield choice
    elif place in ("meta", "cpu"):
        with ExitStack() as stack:
            if place == "cpu":
                stack.enter_context(gpu_attention_on_cpu())
            stack.enter_context(replaced(F, "scaled_dot_product_attention", lambda original: choice.attend))
            yield choice
    else:
        with _torch_switch(asked):
            yield choice


@contextmanager
def _torch_switch(asked: str) -> Iterator[None]:
    from torch.nn.attention import SDPBackend, sdpa_kernel

    names = {"math": "MATH", "flash": "FLASH_ATTENTION", "efficient": "EFFICIENT_ATTENTION"}
    with sdpa_kernel(getattr(SDPBackend, names[asked])):
        yield


def _possible(asked: str, call: tuple[Any, ...]) -> str:
    """``asked`` where the CUDA kernels can do the call, else the next that can, in torch's order."""
    query, key, value, mask, _, _, _, enable_gqa = call
    alike = query.dim() == key.dim() == value.dim() == 4 and query.dtype == key.dtype == value.dtype
    if asked == "math" or not alike or (mask is not None and mask.requires_grad):
        return "math"
    equal_widths = query.shape[-1] == key.shape[-1] == value.shape[-1]
    if asked == "flash" and mask is None and query.dtype in _HALF and equal_widths and query.shape[-1] <= _FLASH_WIDTH:
        return "flash"
    return "math" if enable_gqa and query.shape[1] != key.shape[1] else "efficient"


def _signature(value: Any) -> Any:
    return (value.shape, value.stride(-1), value.dtype, value.requires_grad) if isinstance(value, Tensor) else value


def taken_on_the_cpu(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float, causal: bool, scale: Any, gqa: bool
) -> str:
    """What torch takes on the CPU for a call of its function: "math", or the CPU's own flash kernel."""
    with without_dispatch_modes(), torch.inference_mode(False):
        query, key, value = _stand_in(query), _stand_in(key), _stand_in(value)
        mask = None if mask is None else _stand_in(mask)
        number = fused_attention_choice(query, key, value, mask, dropout, causal, scale=scale, enable_gqa=gqa)
    return "math" if number == _MATH else "cpu_flash"


def _stand_in(tensor: Tensor) -> Tensor:
    """A CPU tensor of the same look and next to no memory."""
    width = tensor.shape[-1] if tensor.dim() else 1
    row = torch.empty(width, dtype=tensor.dtype)
    strides = (0,) * (tensor.dim() - 1) + (1,) * min(tensor.dim(), 1)
    return row.as_strided(tensor.shape, strides).requires_grad_(tensor.requires_grad)


# --- the backends ----------------------------------------------------------------------------------------------------


def _math(q: Tensor, k: Tensor, v: Tensor, mask: Any, dropout: float, causal: bool, scale: Any, gqa: bool) -> Tensor:
    attended: Tensor = attention_kernel("attention_math")(
        q, k, v, _as_bias(mask, q), dropout, causal, scale=scale, enable_gqa=gqa
    )[0]
    return attended


def _cpu_flash(
    q: Tensor, k: Tensor, v: Tensor, mask: Any, dropout: float, causal: bool, scale: Any, gqa: bool
) -> Tensor:
    attended: Tensor = attention_kernel("flash_attention_for_cpu")(
        q, k, v, dropout, causal, attn_mask=_as_bias(mask, q), scale=scale
    )[0]
    return attended


def _flash(q: Tensor, k: Tensor, v: Tensor, mask: Any, dropout: float, causal: bool, scale: Any, gqa: bool) -> Tensor:
    width = q.shape[-1]
    if width % _ALIGNMENT:
        scale = width**-0.5 if scale is None else scale
        q, k, v = (F.pad(tensor, (0, _ALIGNMENT - width % _ALIGNMENT)) for tensor in (q, k, v))
    attended: Tensor = attention_kernel("flash_attention")(q, k, v, dropout, causal, scale=scale)[0]
    return attended[..., :width] if attended.shape[-1] != width else attended


def _efficient(
    q: Tensor, k: Tensor, v: Tensor, mask: Any, dropout: float, causal: bool, scale: Any, gqa: bool
) -> Tensor:
    bias = _as_bias(mask, q)
    if bias is not None:
        keys = bias.shape[-1]
        if keys % _ALIGNMENT:  # padded, then seen without the padding
            bias = F.pad(bias, (0, _ALIGNMENT - keys % _ALIGNMENT))[..., :keys]
        bias = bias.expand(q.shape[0], q.shape[1], q.shape[2], keys)
    learns = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (q, k, v))
    attended: Tensor = attention_kernel("efficient_attention")(q, k, v, bias, learns, dropout, causal, scale=scale)[0]
    return attended


def _as_bias(mask: Tensor | None, query: Tensor) -> Tensor | None:
    """A Boolean mask as numbers to add to the scores, which the kernels want."""
    if mask is None or mask.dtype is not torch.bool:
        return mask
    return torch.where(mask.logical_not(), float("-inf"), torch.zeros((), dtype=query.dtype, device=query.device))


_RUN = {"math": _math, "cpu_flash": _cpu_flash, "flash": _flash, "efficient": _efficient}
