"""Find attention while a model runs: fused kernels, `nn.MultiheadAttention`, softmax in attention modules."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

from torch import Tensor, nn

from torchstat_cli.activations.attention.axes import arranged
from torchstat_cli.activations.attention.maps import fused_map, multihead_function_map, multihead_map
from torchstat_cli.activations.attention.owners import (
    Owner,
    attends,
    attention_module,
    first_sizes,
    is_original_multihead,
    owner_of,
    shows_attention_inside,
)
from torchstat_cli.activations.attention.subset import MapSubset
from torchstat_cli.activations.attention.weights import Weights
from torchstat_cli.activations.events import Event, FoundMap, MapPart
from torchstat_cli.activations.outputs import compact_tensor, copy_tensor
from torchstat_cli.activations.selection.naming import ModuleTable
from torchstat_cli.errors import ModelstatError
from torchstat_cli.foreign_text import message_of

_SDPA_PARAMETERS = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")


class MapListener(Protocol):
    """Hears of every attention map."""

    def wants_map(self, path: str) -> bool:
        """Whether maps of the attention module ``path`` are wanted at all."""

    def take_map(self, found: FoundMap) -> None:
        """A module has attended."""

    def overlooked(self, name: str) -> None:
        """The operator or module ``name`` is a softmax over a square, outside of any attention module."""


@dataclass(slots=True)
class _Piece:
    """What one kernel or softmax made of a call of an attention module."""

    owner: Owner
    maps: Tensor | Weights
    is_part: bool = False  # whether it is the wanted part already


class AttentionFinder:
    """Recognizes attention among module calls and operator calls, and names it by the attention module."""

    def __init__(self, table: ModuleTable, listener: MapListener, subset: MapSubset) -> None:
        self._table = table
        self._listener = listener
        self._subset = subset
        self._counts: dict[tuple[str, MapPart], int] = defaultdict(int)
        self._attending: dict[str, bool] = {}  # path -> whether the module calls itself attention
        self._shown: dict[str, bool] = {}  # path of a module of torch's own -> whether its operators are attention
        self._given: dict[str, tuple[int, ...]] = {}  # attention module -> first sizes of its latest arguments
        self._pieces: dict[str, list[_Piece]] = {}  # attention module that runs -> what it has made so far

    def begin_pass(self) -> None:
        """A forward pass begins: calls are counted anew."""
        self._counts.clear()
        self._pieces.clear()

    def listens_inside(self, event: Event) -> bool:
        """Whether the operators of a module of torch's own must be heard."""
        assert event.module is not None
        if event.path not in self._shown:
            self._shown[event.path] = shows_attention_inside(event.module)
        return self._shown[event.path]

    def entered_module(self, event: Event, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Look at a module that is about to run."""
        if event.path not in self._attending:
            self._attending[event.path] = attends(event.path, event.module)
        if self._attending[event.path]:
            self._given[event.path] = first_sizes(args, kwargs)
        # What a call left behind that raised.
        self._pieces.pop(event.path, None)

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
            self._heard_kernel(list(running), {**dict(zip(_SDPA_PARAMETERS, args, strict=False)), **kwargs})
        elif name == "multi_head_attention_forward":
            self._heard_function(list(running), args, kwargs)
        elif name == "softmax" and isinstance(result, Tensor) and _is_map(args, kwargs, result):
            self._heard_softmax(list(running), result)
        elif self._pieces:
            for weights in self._weights():
                weights.follow(name, args, result)

    def left_module(self, event: Event, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """Look at one finished module call."""
        module = event.module
        if self._pieces and isinstance(module, nn.Dropout) and args and isinstance(output, Tensor):
            for weights in self._weights():
                weights.after_dropout(args[0], output)
        if is_original_multihead(module) and self._listener.wants_map(event.path):
            assert isinstance(module, nn.MultiheadAttention)
            owner = Owner(event.path, heads=module.num_heads)
            maps = self._tried(event.path, lambda: multihead_map(module, args, kwargs))
            if maps is not None:
                self._tell(owner, maps)
        pieces = self._pieces.pop(event.path, None)
        if pieces:
            self._tell_pieces(pieces, output)

    def _weights(self) -> Iterator[Weights]:
        """The weights in use by the attention modules that run."""
        return (piece.maps for pieces in self._pieces.values() for piece in pieces if isinstance(piece.maps, Weights))

    def _heard_kernel(self, running: list[Event], call: dict[str, Any]) -> None:
        owner = owner_of(running, self._given)
        if not self._listener.wants_map(owner.path):
            return
        query = call.get("query")
        # Only where the kernel's heads are the owner's can a part be chosen before the map is computed.
        is_part = isinstance(query, Tensor) and query.dim() > 3 and owner.heads in (None, query.size(-3))
        subset = self._subset if is_part else None
        maps = self._tried(owner.path, lambda: fused_map(**call, subset=subset))
        if maps is not None:
            self._add(_Piece(owner, maps, is_part), bool(running))

    def _heard_function(self, running: list[Event], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        # Of torch's own module the whole call is looked at, when it has finished.
        if running and is_original_multihead(running[0].module):
            return
        owner = owner_of(running, self._given)
        if not self._listener.wants_map(owner.path):
            return
        maps = self._tried(owner.path, lambda: multihead_function_map(args, kwargs))
        if maps is not None:
            self._add(_Piece(replace(owner, heads=maps.size(1)), maps), bool(running))

    def _heard_softmax(self, running: list[Event], result: Tensor) -> None:
        if attention_module(running) is None:
            if result.size(-1) == result.size(-2) > 1:
                self._listener.overlooked(_name_of_softmax(running))
            return
        owner = owner_of(running, self._given)
        if self._listener.wants_map(owner.path):
            self._add(_Piece(owner, Weights(result)), True)

    def _add(self, piece: _Piece, is_inside: bool) -> None:
        """Keep a piece until its owner has finished; a bare function, which nobody runs, has finished already."""
        if is_inside:
            self._pieces.setdefault(piece.owner.path, []).append(piece)
        else:
            self._tell_pieces([piece], None)

    def _tell_pieces(self, pieces: list[_Piece], output: Any) -> None:
        whole = _assembled(pieces, output)
        if whole is not None:
            self._tell(pieces[0].owner, whole)
            return
        for piece in pieces:
            if isinstance(piece.maps, Tensor):
                self._tell(piece.owner, piece.maps, is_part=piece.is_part)
                continue
            weights, owner = piece.maps.value, piece.owner
            self._tell(owner, weights, "window" if owner.windowed and weights.dim() > 3 else "map")
            if (sinks := piece.maps.cut) is not None:
                self._tell(owner, sinks, "sinks")

    def _tell(self, owner: Owner, maps: Tensor, part: MapPart = "map", *, is_part: bool = False) -> None:
        if not is_part:
            maps, has_heads = arranged(maps, owner)
            subset = self._subset.without_keys if part == "sinks" else self._subset
            maps = compact_tensor(subset.of(maps, has_heads=has_heads))
        call = self._counts[owner.path, part]
        self._counts[owner.path, part] += 1
        name = self._table.call_name(owner.path, call)
        self._listener.take_map(FoundMap(owner.path, name if part == "map" else f"{name}.{part}", part, maps))

    def _tried(self, path: str, compute: Callable[[], Tensor]) -> Tensor | None:
        """The map; None, and a warning, where it cannot be had: the model's own run goes on."""
        try:
            return compute()
        except (ModelstatError, IndexError):
            raise  # about the part of the map that was asked for
        except Exception as error:
            # A variant of attention, in somebody else's code, may fail in any way.
            warnings.warn(
                f"no attention map of {path or 'the model'!r} in this call: {message_of(error)}",
                UserWarning,
                stacklevel=2,
            )
            return None


def _assembled(pieces: list[_Piece], output: Any) -> Tensor | None:
    """The whole map that a module returns beside its output, where it computed it in pieces of different shapes.

    Block-sparse attention does so: each piece alone is no map.
    """
    shapes = {piece.maps.value.shape for piece in pieces if isinstance(piece.maps, Weights)}
    if len(shapes) < 2 or pieces[0].owner.windowed or not isinstance(output, tuple):
        return None
    heads = pieces[0].owner.heads
    found = [value for value in output[1:] if isinstance(value, Tensor) and value.dim() == 4 and value.size(1) == heads]
    return copy_tensor(found[0].detach()) if found else None


def _name_of_softmax(running: list[Event]) -> str:
    """The name under which the output of a softmax can be selected."""
    if not running:
        return "softmax"
    innermost = running[0]
    if isinstance(innermost.module, nn.Softmax):
        return innermost.name
    return f"{innermost.path}.softmax" if innermost.path else "softmax"


def _is_map(args: tuple[Any, ...], kwargs: dict[str, Any], result: Tensor) -> bool:
    """Whether a softmax over the last of three or more dimensions took place."""
    dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
    return result.dim() >= 3 and isinstance(dim, int) and dim % result.dim() == result.dim() - 1
