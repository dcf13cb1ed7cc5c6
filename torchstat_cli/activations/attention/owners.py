"""Whose attention it is: the attention module around an operator, and what it says of its heads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from torchstat_cli.activations.events import Event
from torchstat_cli.activations.selection.leaves import is_library_leaf
from torchstat_cli.torch_access.modules import modules_of, named_modules

_ATTENTION = re.compile(r"attention|attn", re.IGNORECASE)
_SHORT = r"(?:MH[SC]?A|MSA|MQA|GQA)"  # multi-head (self, cross), multi-query, grouped-query attention
_SHORT_CLASS = re.compile(rf"(?:^|_|[a-z0-9]|SW?|W){_SHORT}(?:$|_|\d|Block|Layer|Module)")
_SHORT_NAME = re.compile(rf"(?:\w+_)?{_SHORT}(?:_?\d+)?", re.IGNORECASE)

_HEADS = ("num_heads", "num_attention_heads", "n_heads", "heads", "n_head", "nhead", "num_attn_heads", "n_attn_heads")
_GROUPS = ("num_key_value_groups", "num_queries_per_kv", "n_rep")
# Attention to a window of neighbors: Longformer and LED call its width so, LongT5 cuts blocks.
_WINDOWS = ("one_sided_attn_window_size", "local_radius")


@dataclass(frozen=True, slots=True)
class Owner:
    """An attention module as far as it explains a map's axes."""

    path: str
    heads: int | None = None  # query heads; None where the module does not say
    groups: int = 1  # query heads for each key head
    windowed: bool = False  # whether its queries see a window of neighbors, whose places are the map's last axis
    given: tuple[int, ...] = ()  # the first two sizes of what the module was called with


def attends(path: str, module: nn.Module | None) -> bool:
    """Whether a module is attention by its class, its own name, or a child ``attend`` (as vit-pytorch calls it)."""
    if module is None:
        return False
    kind, name = type(module).__name__, path.rpartition(".")[2]
    if _ATTENTION.search(kind) or _SHORT_CLASS.search(kind):
        return True
    # torch's own modules may be called attn_drop, and attend to nothing.
    return not is_library_leaf(module) and bool(
        _ATTENTION.search(name) or _SHORT_NAME.fullmatch(name) or "attend" in module._modules
    )


def has_attention(model: nn.Module) -> bool:
    """Whether any module calls itself attention."""
    return any(attends(path, module) for path, module in named_modules(model))


def attention_module(running: Iterable[Event]) -> Event | None:
    """The innermost of the modules ``running``, innermost first, that calls itself attention."""
    return next((event for event in running if attends(event.path, event.module)), None)


def owner_of(running: list[Event], given: Mapping[str, tuple[int, ...]]) -> Owner:
    """The owner of an operator: the innermost attention module, else the innermost module of all.

    An attention module may leave it to the one around it to know the heads. ``given`` has the first sizes of what the
    attention modules were called with.
    """
    found = attention_module(running) or next(iter(running), None)
    if found is None:
        return Owner("")
    around = [event for event in running if event is found or attends(event.path, event.module)]
    modules = [event.module for event in around[around.index(found) :] if event.module is not None]
    return Owner(
        found.path,
        heads=next((count for module in modules if (count := _count(module, _HEADS))), None),
        groups=next((count for module in modules if (count := _count(module, _GROUPS))), 1),
        windowed=any(_count(module, _WINDOWS) for module in modules[:1]),
        given=given.get(found.path, ()),
    )


def _count(module: nn.Module, names: Iterable[str]) -> int | None:
    """The first of the attributes ``names`` that is a positive number, of the module itself, else of its ``config``."""
    for holder in (module, getattr(module, "config", None)):
        for name in names if holder is not None else ():
            value = holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                return value
    return None


def first_sizes(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[int, ...]:
    """The first two sizes of the first tensor that a module was given, () where it was given none."""
    tensor = next((value for value in (*args, *kwargs.values()) if isinstance(value, Tensor) and value.dim() > 1), None)
    return () if tensor is None or tensor.is_nested else tuple(tensor.shape[:2])


def is_original_multihead(module: nn.Module | None) -> bool:
    """Whether a call of ``module`` is a call of torch's own ``nn.MultiheadAttention``, and no variant of it."""
    return (
        isinstance(module, nn.MultiheadAttention)
        and type(module).forward is nn.MultiheadAttention.forward
        and "forward" not in vars(module)
    )


def shows_attention_inside(module: nn.Module) -> bool:
    """Whether operators inside a module of torch's own are an attention map: softmax modules, multi-head variants."""
    return any(
        isinstance(part, nn.Softmax) or (isinstance(part, nn.MultiheadAttention) and not is_original_multihead(part))
        for part in modules_of(module)
    )
