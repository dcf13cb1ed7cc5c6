"""Observe attention and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor, nn

from torchstat_cli.activations.attention.choosing import may_select, selects
from torchstat_cli.activations.attention.finder import AttentionFinder
from torchstat_cli.activations.attention.subset import MapSubset
from torchstat_cli.activations.events import Event, FoundMap
from torchstat_cli.activations.runtime.attaching import attached
from torchstat_cli.activations.selection.engines import hooked_paths
from torchstat_cli.activations.selection.language import Part, Selector
from torchstat_cli.activations.selection.leaves import TracerOptions
from torchstat_cli.activations.selection.naming import ModuleTable


class MapTaker:
    """Takes attention maps, and no values."""

    def wants_map(self, path: str) -> bool:
        """Whether maps of the attention module ``path`` are wanted at all."""
        return True

    def take_map(self, found: FoundMap) -> None:
        """A module has attended."""
        raise NotImplementedError

    def overlooked(self, name: str) -> None:
        """A softmax that may be attention: nothing."""

    def began(self, turn: int) -> None:
        """Nothing: every pass's maps are taken."""

    def wants(self, event: Event, part: Part) -> bool:
        """Nothing."""
        return False

    def take(self, event: Event, part: Part, value: Any) -> None:
        """Drop it."""

    def failed(self, event: Event) -> None:
        """Nothing."""

    def repeated(self, path: str, output: Any) -> None:
        """Nothing."""


class SelectedMaps(MapTaker):
    """Hands the maps that selections of attention mean to ``keep``, by name."""

    def __init__(self, selectors: Sequence[Selector], keep: Callable[[str, Tensor], None]) -> None:
        self._selectors = selectors
        self._keep = keep

    def wants_map(self, path: str) -> bool:
        """Whether a map of ``path`` may be selected."""
        return any(may_select(selector, path) for selector in self._selectors)

    def take_map(self, found: FoundMap) -> None:
        """Hand it on."""
        if any(selects(selector, found) for selector in self._selectors):
            self._keep(f"attn:{found.name}", found.maps)


def watching(
    model: nn.Module, table: ModuleTable, taker: MapTaker, subset: MapSubset | None = None
) -> AbstractContextManager[object]:
    """Hand every attention map of ``model``, in this thread, to ``taker`` inside the block."""
    finder = AttentionFinder(table, taker, subset or MapSubset())
    paths = hooked_paths((), table, everything=True)
    return attached(model, table, taker, paths, TracerOptions.of(), operators=True, finder=finder)
