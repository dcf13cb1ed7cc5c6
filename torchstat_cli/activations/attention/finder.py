"""Find attention while a model runs: fused kernels, `nn.MultiheadAttention`, softmax in attention modules."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Protocol

from torch import Tensor, nn

from torchstat_cli.activations.attention.maps import MapSubset, fused_map, multihead_map
from torchstat_cli.activations.events import Event, MapSource
from torchstat_cli.activations.selection.leaves import is_library_leaf
from torchstat_cli.activations.selection.naming import ModuleTable
from torchstat_cli.torch_access.modules import named_modules

_ATTENTION = re.compile(r"attention|attn", re.IGNORECASE)
_SDPA_PARAMETERS = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")


class MapListener(Protocol):
    """Hears of every attention map."""

    def take_map(self, path: str, call_name: str, source: MapSource) -> None:
        """The module ``path`` attended; ``source`` computes the map, (batch, heads, queries, keys)."""


class AttentionFinder:
    """Recognises attention among module calls and operator calls, and names it by the attention module."""

    def __init__(self, table: ModuleTable, listener: MapListener, subset: MapSubset) -> None:
        self._table = table
        self._listener = listener
        self._subset = subset
        self._counts: dict[str, int] = defaultdict(int)

    def heard_operator(
        self,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Any,
        running: Iterable[Event],
    ) -> None:
        """Look at one operator call made inside the modules ``running``, innermost first.

        Operators go by name: the function object differs where another tool has wrapped torch's functions.
        """
        if name == "scaled_dot_product_attention":
            call = {**dict(zip(_SDPA_PARAMETERS, args, strict=False)), **kwargs}
            self._found(_owner(running), lambda: fused_map(**call, subset=self._subset))
        elif name == "softmax" and isinstance(result, Tensor) and _is_map(args, kwargs, result):
            owner = _attention_module(running)
            if owner is not None:
                self._found(owner.path, lambda: self._subset.of(result.detach()).clone())

    def heard_module(self, event: Event, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """Look at one finished module call."""
        if isinstance(event.module, nn.MultiheadAttention):
            module = event.module
            self._found(event.path, lambda: multihead_map(module, args, kwargs, output, self._subset))

    def _found(self, path: str, source: MapSource) -> None:
        call_name = self._table.call_name(path, self._counts[path])
        self._counts[path] += 1
        self._listener.take_map(path, call_name, source)


def has_attention(model: nn.Module) -> bool:
    """Whether any module calls itself attention."""
    return any(_attends(path, module) for path, module in named_modules(model))


def _attends(path: str, module: nn.Module | None) -> bool:
    """Whether a module is attention by its class, its own name, or a child ``attend`` (as vit-pytorch calls it)."""
    if module is None:
        return False
    if _ATTENTION.search(type(module).__name__):
        return True
    # torch's own modules may be called attn_drop, and attend to nothing.
    return not is_library_leaf(module) and bool(
        _ATTENTION.search(path.rpartition(".")[2]) or "attend" in module._modules
    )


def _attention_module(running: Iterable[Event]) -> Event | None:
    return next((event for event in running if _attends(event.path, event.module)), None)


def _owner(running: Iterable[Event]) -> str:
    """The innermost attention module, else the innermost module of all, "" where a bare function attends."""
    events = list(running)
    owner = _attention_module(events) or next(iter(events), None)
    return owner.path if owner else ""


def _is_map(args: tuple[Any, ...], kwargs: dict[str, Any], result: Tensor) -> bool:
    """Whether a softmax over the last of three or more dimensions took place."""
    dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
    return result.dim() >= 3 and isinstance(dim, int) and dim % result.dim() == result.dim() - 1
