"""Hold what selections have received, as long as it is wanted: of the last forward pass, of one run, of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from torchstat_cli.activations.runtime.gradients import GradientCell
from torchstat_cli.activations.runtime.picking import Call, pick, stack
from torchstat_cli.activations.selection.language import Selector


@dataclass(slots=True)
class Slot:
    """What one name has received for one selection."""

    selector: Selector
    calls: list[Call] = field(default_factory=list)  # forward pass and value of every call that was wanted

    @property
    def keeps_run(self) -> bool:
        """Whether all passes of one generation are kept: maps belong together, as what one text looked at."""
        plain = self.selector.turns is None and not self.selector.stacked and not self.selector.indices
        return self.selector.kind == "attn" and plain

    @property
    def keeps_passes(self) -> bool:
        """Whether earlier passes are wanted beside the last."""
        return self.selector.turns is not None or self.selector.indices[:1] == (...,) or self.keeps_run


class Slots:
    """The slots of all selections, by result key and, where a selection becomes one tensor, by name."""

    def __init__(self, selectors: Sequence[Selector]) -> None:
        self._order = {selector: place for place, selector in enumerate(selectors)}
        self._slots: dict[tuple[str, str], Slot] = {}

    def add(self, selector: Selector, key: str, turn: int, value: Any) -> None:
        """Take a value that goes by ``key``; that of an earlier pass makes room, unless it is wanted."""
        place = (selector.key, key) if selector.stacked else (key, "")
        slot = self._slots.setdefault(place, Slot(selector))
        if slot.calls and slot.calls[-1][0] != turn and not slot.keeps_passes:
            slot.calls = []
        slot.calls.append((turn, value))

    def change(self, change: Callable[[Any], Any]) -> None:
        """Replace every value."""
        for slot in self._slots.values():
            slot.calls = [(turn, _changed(value, change)) for turn, value in slot.calls]

    def begin_run(self) -> None:
        """Drop what was kept of the last run as a whole."""
        self._slots = {place: slot for place, slot in self._slots.items() if not slot.keeps_run}

    def cells(self) -> Iterator[tuple[Selector, GradientCell]]:
        """The places of gradients, in order of the calls."""
        for slot in self._slots.values():
            for _, value in slot.calls:
                if isinstance(value, GradientCell):
                    yield slot.selector, value

    def values(self, change: Callable[[Any], Any]) -> dict[str, Any]:
        """Key to value, each call's changed first, in the order of the selections, patterns in order of execution.

        A gradient that no backward pass has produced yet is left out.

        Raises:
            SelectionError: an index that fits neither the calls nor the output, or values that make no one tensor.
        """
        found: dict[str, Any] = {}
        stacks: dict[str, dict[str, Any]] = {}
        for (key, name), slot in sorted(self._slots.items(), key=lambda item: self._order[item[1].selector]):
            for label, calls in _named(key, slot):
                value = pick(slot.selector, [(turn, _changed(value, change)) for turn, value in calls])
                if value is GradientCell.PENDING:
                    continue
                if slot.selector.stacked:
                    stacks.setdefault(key, {})[name] = value
                    found[key] = slot.selector
                else:
                    found[label] = value
        return {key: stack(found[key], stacks[key]) if key in stacks else value for key, value in found.items()}


def _named(key: str, slot: Slot) -> list[tuple[str, list[Call]]]:
    """The calls of a slot by result key: of a run's earlier passes each has a key of its own."""
    if not slot.keeps_run:
        return [(key, slot.calls)]
    passes = [list(calls) for _, calls in groupby(slot.calls, key=lambda call: call[0])]
    earlier = [(f"{key}@{place}", calls) for place, calls in enumerate(passes[:-1])]
    return [*earlier, (key, passes[-1])]


def _changed(value: Any, change: Callable[[Any], Any]) -> Any:
    # What waits for a gradient holds no value.
    return value if isinstance(value, GradientCell) else change(value)
