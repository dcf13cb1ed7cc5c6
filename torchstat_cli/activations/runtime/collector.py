"""Decide for each event which selections want it, and hold what they kept until it is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from torchstat_cli.activations.attention.choosing import may_select, selects
from torchstat_cli.activations.events import Event, FoundMap, Stop
from torchstat_cli.activations.runtime.gradients import GradientCell, holds_gradient
from torchstat_cli.activations.runtime.keeper import Keeper
from torchstat_cli.activations.runtime.runs import Runs
from torchstat_cli.activations.runtime.slots import Slots
from torchstat_cli.activations.selection.engines import matching_modules
from torchstat_cli.activations.selection.language import Part, Selector, unmatched
from torchstat_cli.activations.selection.naming import ModuleTable
from torchstat_cli.errors import SelectionError


class Collector:
    """Keeps what the selectors want out of a stream of events."""

    def __init__(self, selectors: Sequence[Selector], table: ModuleTable, keeper: Keeper, *, stop: bool) -> None:
        self.selectors = tuple(selectors)
        self.keeper = keeper
        self.fired: Counter[str] = Counter()  # node path -> calls, of nodes that a selection wanted
        self.seen: dict[str, None] = {}  # every node name that came by, for close matches
        self.passes = 0  # forward passes that began
        self.stopped_after: str | None = None
        self._slots = Slots(self.selectors)
        self._served: set[Selector] = set()
        self._patterns = [selector for selector in selectors if selector.is_pattern]
        self._exact: dict[tuple[str, Part], list[tuple[Selector, int | None]]] = {}
        # A pattern that fits modules means modules; only one that fits none means operators.
        self._of_modules = {s for s in self._patterns if s.kind in ("glob", "re") and matching_modules(s, table)}
        self._parts = {selector.part for selector in selectors}
        self._maps = [selector for selector in selectors if selector.kind == "attn"]
        self._overlooked: dict[str, None] = {}  # softmaxes that may be attention
        self._runs = Runs(table.modules[""]) if any(s.turns is None for s in self._maps) else None
        self._turn = 0
        for selector in selectors:
            if not selector.is_pattern:
                self._route(selector, table)
        # Only a selection of known, single calls can be known to be complete before the model is.
        plain = all(not s.is_pattern and not s.indices and s.turns is None and s.part != "grad" for s in selectors)
        self._missing = {selector.key for selector in selectors} if stop and plain else None

    def _route(self, selector: Selector, table: ModuleTable) -> None:
        path, call = table.call_of(selector.pattern) or (selector.pattern, 0)
        # An index may mean a call, so every call is kept until the run's end tells.
        wanted = None if selector.indices else call
        self._exact.setdefault((path, selector.part), []).append((selector, wanted))

    def began(self, turn: int) -> None:
        """A forward pass begins: what is kept of the last one no longer changes."""
        self._settle()
        self._turn = turn
        self.passes += 1
        if self._runs is not None and self._runs.is_new():
            self._slots.begin_run()

    def end(self) -> None:
        """Nothing more will come."""
        self._settle()
        if self._runs is not None:
            self._runs.forget()

    def _settle(self) -> None:
        """Decide which kept values are the model's own tensors and which are copies."""
        if self.keeper.holds_live:
            self._slots.change(self.keeper.current)
        self.keeper.end_pass()

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
                takers.append((selector, event.name + selector.suffix))
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
        kept = (
            GradientCell(value, event.name if event.operator else event.path)
            if part == "grad"
            else self.keeper.keep(event.name, value)
        )
        self._add(takers, event.turn, kept)
        for _, key in takers:
            self._done(key, event.name)

    def _cell(self, event: Event, value: Any) -> GradientCell:
        return GradientCell(value, event.name if event.operator else event.path)

    def _add(self, takers: Sequence[tuple[Selector, str]], turn: int, kept: Any) -> None:
        self._served.update(selector for selector, _ in takers)
        # Two patterns that meet in one name fill one slot, once.
        distinct = {(key, selector if selector.stacked else None): selector for selector, key in reversed(takers)}
        for (key, _), selector in distinct.items():
            self._slots.add(selector, key, turn, kept)

    def failed(self, event: Event) -> None:
        """Nothing to keep."""

    def repeated(self, path: str, output: Any) -> None:
        """A checkpointed module may run without gradients at first; within the backward pass it has them."""
        if "grad" in self._parts and holds_gradient(output):
            waiting = [cell for _, cell in self._slots.cells() if cell.path == path and not cell.reachable]
            # Backward passes go through calls from the last to the first.
            if waiting:
                waiting[-1].watch(output)

    def wants_map(self, path: str) -> bool:
        """Whether a selection may take a map of the attention module ``path``, or of any of its calls and parts."""
        return any(may_select(selector, path) for selector in self._maps)

    def take_map(self, found: FoundMap) -> None:
        """Keep an attention map if a selection wants it; sinks only for one that says so."""
        takers = [(s, f"attn:{found.name}{s.suffix}") for s in self._maps if selects(s, found)]
        if takers:
            self.fired[f"attn:{found.name}"] += 1
            self._add(takers, self._turn, found.maps)

    def overlooked(self, name: str) -> None:
        """Remember a softmax that may be attention, for the error where none was found."""
        self._overlooked.setdefault(name)

    def _done(self, key: str, name: str) -> None:
        if self._missing is None:
            return
        self._missing.discard(key)
        if not self._missing:
            self.stopped_after = name
            raise Stop(self)

    @property
    def wants_maps(self) -> bool:
        """Whether attention maps are selected."""
        return bool(self._maps)

    def values(self) -> dict[str, Any]:
        """Key to value (:meth:`.slots.Slots.values`)."""
        return self._slots.values(self.keeper.current)

    def never_fired(self) -> tuple[Selector, ...]:
        """Selectors that received nothing."""
        return tuple(selector for selector in self.selectors if selector not in self._served)

    def check(self, *, elsewhere: bool = False) -> None:
        """Raise for selections that received nothing, or wait for a gradient that cannot arrive.

        Args:
            elsewhere: whether the model was also called in another thread or task, unobserved.

        Raises:
            SelectionError: with the closest names that did fire.
        """
        for selector in self.never_fired():
            if elsewhere and not self.seen:
                raise SelectionError(
                    f"{selector.text!r} was selected but never ran here; the model was called in another thread or "
                    "task, whose calls belong to that one",
                    "open the block in the thread that calls the model",
                )
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
        for selector, cell in self._slots.cells():
            if not cell.reachable:
                raise SelectionError(
                    f"{cell.path!r} needs no gradient in this run, so {selector.text} can never arrive",
                    "run with gradients enabled, on parameters or inputs that require them; where reentrant "
                    "checkpointing repeats the module, call backward() inside the block",
                )


def _fits(selector: Selector, event: Event) -> bool:
    if selector.kind == "type":
        return event.module is not None and selector.matches_type(type(event.module))
    if selector.kind == "op":
        return event.operator is not None and selector.matches(event.operator)
    return selector.kind != "attn" and selector.matches(event.name)
