"""Join the two sources of a run, module calls and operator calls, into one stream of named events."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import get_ident
from typing import Any, Protocol

from torch import Tensor

from torchstat_cli.activations.attention.finder import AttentionFinder
from torchstat_cli.activations.events import Event
from torchstat_cli.activations.runtime.function_mode import OperatorMode
from torchstat_cli.activations.runtime.module_hooks import ModuleHooks
from torchstat_cli.activations.selection.language import Part
from torchstat_cli.activations.selection.leaves import TracerOptions, is_library_leaf
from torchstat_cli.activations.selection.naming import ModuleTable, TrueNumbering
from torchstat_cli.torch_access.trees import tensors_in


class Taker(Protocol):
    """Receives named values."""

    def began(self, turn: int) -> None:
        """A forward pass begins."""

    def wants(self, event: Event, part: Part) -> bool:
        """Whether this part of the event is worth preparing."""

    def take(self, event: Event, part: Part, value: Any) -> None:
        """A value has come by."""

    def failed(self, event: Event) -> None:
        """A module raised, so its output will not come."""

    def repeated(self, path: str, output: Any) -> None:
        """A backward pass ran a module again, to get at its gradient."""


class RunListener:
    """Hands module and operator events to a collector, and attention to a finder."""

    def __init__(self, collector: Taker, table: ModuleTable, leaves: TracerOptions) -> None:
        self._collector = collector
        self._leaves = leaves
        self._table = table
        self._numbering = TrueNumbering(table)
        self._hooks: ModuleHooks | None = None
        self._mode: OperatorMode | None = None
        self._thread = 0  # where operators are heard
        self._finder: AttentionFinder | None = None
        self._quiet: Event | None = None  # the outermost leaf that is running: what happens inside is not named
        self._paused: Event | None = None  # the library module for which the mode was taken off

    @contextmanager
    def following(self, hooks: ModuleHooks, mode: OperatorMode, finder: AttentionFinder | None) -> Iterator[None]:
        """Also hear operators: ``hooks`` then cover every module and tell which one runs.

        Listener, mode and finder know each other, and what was kept, within the block alone: such a circle would keep
        all of it until Python's garbage collector happened to look.
        """
        self._hooks, self._mode, self._finder, self._thread = hooks, mode, finder, get_ident()
        try:
            yield
        finally:
            self._hooks = self._mode = self._finder = self._quiet = self._paused = None

    @property
    def _mode_here(self) -> OperatorMode | None:
        """The mode, which sees the operators of one thread alone."""
        return self._mode if get_ident() == self._thread else None

    def began(self, turn: int) -> None:
        """A forward pass begins: names are counted anew."""
        if self._mode_here is not None:
            self._numbering = TrueNumbering(self._table)
            self._quiet = self._paused = None
            if self._finder is not None:
                self._finder.begin_pass()
        self._collector.began(turn)

    def repeated(self, path: str, output: Any) -> None:
        """A backward pass has run a module again."""
        self._collector.repeated(path, output)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Copying a value is no operator of the model's."""
        mode = self._mode_here
        if mode is None:
            yield
            return
        mode.deaf = True
        try:
            yield
        finally:
            mode.deaf = False

    def entered(self, event: Event, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A module is about to run with these arguments."""
        with self._alone():
            self._enter(event, args, kwargs)

    def _enter(self, event: Event, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        mode = self._mode_here
        if mode is not None:
            self._pause(mode, event)
            if self._finder is not None:
                self._finder.entered_module(event, args, kwargs)
            if not event.path:
                self._take_inputs(event, args, kwargs)
        if self._collector.wants(event, "input"):
            self._collector.take(event, "input", _given(args, kwargs))

    def _take_inputs(self, event: Event, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The model's own inputs are nodes named like the parameters of its forward."""
        assert event.module is not None
        bound = inspect.signature(event.module.forward).bind_partial(*args, **kwargs)
        for name, value in bound.arguments.items():
            named = Event(self._numbering.name(name), "", 0, operator="placeholder", turn=event.turn)
            self._collector.take(named, "output", value)

    def left(self, event: Event, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """A module has run and returned ``output``."""
        with self._alone():
            self._leave(event, args, kwargs, output)

    def _leave(self, event: Event, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        mode = self._mode_here
        if mode is not None:
            self._resume(mode, event)
            if self._finder is not None:
                self._finder.left_module(event, args, kwargs, output)
        if self._collector.wants(event, "grad"):
            self._collector.take(event, "grad", output)
        self._collector.take(event, "output", output)

    def failed(self, event: Event) -> None:
        """A module has raised."""
        mode = self._mode_here
        if mode is not None:
            self._resume(mode, event)
        self._collector.failed(event)

    def _pause(self, mode: OperatorMode, event: Event) -> None:
        assert event.module is not None
        if self._quiet is None and self._leaves.is_leaf(event.module):
            self._quiet = event
        # Library modules are left to their native path, except those whose operators are an attention map.
        if (
            self._paused is None
            and is_library_leaf(event.module)
            and not (self._finder is not None and self._finder.listens_inside(event))
            and mode.pause()
        ):
            self._paused = event

    def _resume(self, mode: OperatorMode, event: Event) -> None:
        if self._paused is event:
            mode.resume()
            self._paused = None
        if self._quiet is event:
            self._quiet = None

    def operator(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """An operator has run."""
        hooks = self._hooks
        if hooks is None or not hooks.here:
            return
        if self._finder is not None:
            self._finder.heard_operator(name, args, kwargs, result, hooks.running)
        # A constant made from nothing is no node, as in a traced graph.
        if self._quiet is not None or next(tensors_in((args, kwargs)), None) is None:
            return
        owner = hooks.innermost
        base = f"{owner}.{name}" if owner else name
        event = Event(self._numbering.name(base), owner, 0, operator=name, turn=hooks.turn)
        if next(tensors_in(result), None) is not None:
            if self._collector.wants(event, "grad"):
                self._collector.take(event, "grad", result)
            self._collector.take(event, "output", result)


def _given(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """What a module was given: its one argument, its positional arguments, or its keywords."""
    if len(args) == 1 and not any(isinstance(value, Tensor) for value in kwargs.values()):
        return args[0]
    return args or dict(kwargs)
