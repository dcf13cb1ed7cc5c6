"""Decide for each event which selections want it, and hold what they kept until it is asked for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torchstat_cli.activations.events import Event, FoundMap, Stop
from torchstat_cli.activations.runtime.gradients import GradientCell
from torchstat_cli.activations.runtime.keeper import Keeper, holds_gradient
from torchstat_cli.activations.runtime.picking import pick
from torchstat_cli.activations.selection.engines import matching_modules
from torchstat_cli.activations.selection.language import Part, Selector, unmatched
from torchstat_cli.activations.selection.naming import ModuleTable
from torchstat_cli.errors import SelectionError


@dataclass(slots=True)
class Slot:
    """What one result key has received."""

    selector: Selector
    calls: list[Any] = field(default_factory=list)  # one value per call that was wanted


class Collector:
    """Keeps what the selectors want out of a stream of events."""

    def __init__(self, selectors: Sequence[Selector], table: ModuleTable, keeper: Keeper, *, stop: bool) -> None:
        self.selectors = tuple(selectors)
        self.keeper = keeper
        self.fired: Counter[str] = Counter()  # node path -> calls, of nodes that a selection wanted
        self.seen: dict[str, None] = {}  # every node name that came by, for close matches
        self._slots: dict[str, Slot] = {}
        self._served: set[Selector] = set()
        self._patterns = [selector for selector in selectors if selector.is_pattern]
        self._exact: dict[tuple[str, Part], list[tuple[Selector, int | None]]] = {}
        # A pattern that fits modules means modules; only one that fits none means operators.
        self._of_modules = {s for s in self._patterns if s.kind in ("glob", "re") and matching_modules(s, table)}
        self._parts = {selector.part for selector in selectors}
        self._maps = [selector for selector in selectors if selector.kind == "attn"]
        self._overlooked: dict[str, None] = {}  # softmaxes that may be attention
        for selector in selectors:
            if not selector.is_pattern:
                self._route(selector, table)
        # Only a selection of known, single calls can be known to be complete before the model is.
        plain = all(not s.is_pattern and not s.indices and s.part != "grad" for s in selectors)
        self._missing = {selector.key for selector in selectors} if stop and plain else None
        self.stopped_after: str | None = None

    def _route(self, selector: Selector, table: ModuleTable) -> None:
        path, call = table.call_of(selector.pattern) or (selector.pattern, 0)
        # An index may mean a call, so every call is kept until the run's end tells.
        wanted = None if selector.indices else call
        self._exact.setdefault((path, selector.part), []).append((selector, wanted))

    def wants(self, event: Event, part: Part) -> bool:
        """Whether any selection takes this part of the event."""
        return part in self._parts and bool(self._takers(event, part))

    def _takers(self, event: Event, part: Part) -> list[tuple[Selector, str]]:
        """The selectors that want the event, each with the key under which its value goes."""
        # An operator's name is its whole address; a module's calls share its path.
        address = event.path if event.operator is None else event.name
        takers = [
            (selector, selector.key)
            for selector, call in self._exact.get((address, part), ())
            if call is None or event.operator is not None or call == event.call
        ]
        for selector in self._patterns:
            if event.operator is not None and selector in self._of_modules:
                continue
            if selector.part == part and _fits(selector, event):
                takers.append((selector, event.name if part == "output" else f"{event.name}.{part}"))
        return takers

    def take(self, event: Event, part: Part, value: Any) -> None:
        """Keep ``value`` for every selection that wants it.

        Raises:
            Stop: that was the last value asked for.
        """
        self.seen.setdefault(event.name)
        takers = self._takers(event, part)
        if not takers:
            return
        self.fired[event.name if event.operator else event.path] += 1
        kept = self._gradient(event, value) if part == "grad" else self.keeper.keep(event.name, value)
        self._served.update(selector for selector, _ in takers)
        # Two patterns that meet in one name fill one slot, once.
        for key, selector in {key: selector for selector, key in reversed(takers)}.items():
            self._slots.setdefault(key, Slot(selector)).calls.append(kept)
            self._done(key, event.name)

    def failed(self, event: Event) -> None:
        """Nothing to keep."""

    def wants_map(self, path: str) -> bool:
        """Whether a selection may take a map of the attention module ``path``, or of any of its calls and parts."""
        return any(selector.matches(path) or _below(selector.pattern, path) for selector in self._maps)

    def take_map(self, found: FoundMap) -> None:
        """Keep an attention map if a selection wants it; sinks only for one that says so."""
        for selector in self._maps:
            by_name = selector.matches(found.name) and (found.part != "sinks" or selector.pattern.endswith("sinks"))
            if by_name or (found.part != "sinks" and selector.matches(found.path)):
                key = f"attn:{found.name}"
                self.fired[key] += 1
                self._served.add(selector)
                self._slots.setdefault(key, Slot(selector)).calls.append(found.maps)
                break

    def overlooked(self, name: str) -> None:
        """Remember a softmax that may be attention, for the error where none was found."""
        self._overlooked.setdefault(name)

    def _gradient(self, event: Event, value: Any) -> GradientCell:
        if not holds_gradient(value):
            raise SelectionError(
                f"{event.name!r} needs no gradient in this run, so {event.name}.grad can never arrive",
                "run with gradients enabled, on parameters or inputs that require them",
            )
        return GradientCell(value)

    def _done(self, key: str, name: str) -> None:
        if self._missing is None:
            return
        self._missing.discard(key)
        if not self._missing:
            self.stopped_after = name
            raise Stop

    @property
    def wants_maps(self) -> bool:
        """Whether attention maps are selected."""
        return bool(self._maps)

    def values(self) -> dict[str, Any]:
        """Key to value, in the order of the selections, patterns in order of execution.

        A gradient that no backward pass has produced yet is left out.

        Raises:
            SelectionError: an index that fits neither the calls nor the output.
        """
        order = {selector: place for place, selector in enumerate(self.selectors)}
        slots = sorted(self._slots.items(), key=lambda item: order[item[1].selector])
        found = {key: pick(slot.selector, slot.calls) for key, slot in slots}
        return {key: value for key, value in found.items() if value is not GradientCell.PENDING}

    def never_fired(self) -> tuple[Selector, ...]:
        """Selectors that received nothing."""
        return tuple(selector for selector in self.selectors if selector not in self._served)

    def check(self) -> None:
        """Raise for selections that received nothing.

        Raises:
            SelectionError: with the closest names that did fire.
        """
        for selector in self.never_fired():
            if selector.kind == "attn":
                seen = next(iter(self._overlooked), None)
                raise SelectionError(
                    f"{selector.text!r} found no attention: no fused kernel, MultiheadAttention or softmax in an "
                    "attention module ran",
                    f"a softmax over a square ran in a module that does not call itself attention: select {seen!r}"
                    if seen is not None
                    else "select the softmax operator or the module that holds the map by its name",
                )
            error = unmatched(selector.text, self.seen)
            raise SelectionError(f"{selector.text!r} was selected but never ran", error.hint)


def _below(pattern: str, path: str) -> bool:
    """Whether a pattern may mean a call or a part of ``path``: ``attn_1``, ``attn.sinks``, ``*.sinks``."""
    stem = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    return stem.startswith(path) or path.startswith(stem)


def _fits(selector: Selector, event: Event) -> bool:
    if selector.kind == "type":
        return event.module is not None and selector.matches_type(type(event.module))
    if selector.kind == "op":
        return event.operator is not None and selector.matches(event.operator)
    return selector.kind != "attn" and selector.matches(event.name)
