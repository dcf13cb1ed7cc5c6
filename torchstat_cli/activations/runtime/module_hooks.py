"""Attach hooks to modules, number their calls within each forward pass, and keep the path of the running module."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import count
from threading import get_ident
from typing import Any, Protocol

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from torchstat_cli.activations.events import Event
from torchstat_cli.activations.selection.naming import ModuleTable
from torchstat_cli.errors import ModelError
from torchstat_cli.torch_access.internals import backward_pass, code_of_calls
from torchstat_cli.torch_access.interrupts import held_back, to_the_end

_observing: ContextVar[tuple[object, ...]] = ContextVar("observing", default=())
"""The hooks that listen in this context: what another thread or task runs meanwhile is none of their business."""

_NO_BACKWARD = -1


class ModuleListener(Protocol):
    """Hears of every call of the hooked modules."""

    def began(self, turn: int) -> None:
        """A forward pass begins."""

    def entered(self, event: Event, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A module is about to run."""

    def left(self, event: Event, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """A module has run."""

    def failed(self, event: Event) -> None:
        """A module has raised, and the model may go on without it."""

    def repeated(self, path: str, output: Any) -> None:
        """A backward pass has run a checkpointed module again."""


@dataclass(slots=True)
class _Calls:
    """What one thread has under way."""

    turn: int = 0  # the forward pass
    counts: Counter[str] = field(default_factory=Counter)  # path -> calls in this pass
    running: list[tuple[nn.Module, Event]] = field(default_factory=list)  # innermost last; hooked modules only
    returned: list[nn.Module] = field(default_factory=list)  # whose `left` was told, and whose last hook is to come


class ModuleHooks:
    """Hooks on some modules of a model, for the length of a ``with`` block.

    They hear what runs in the context that opened the block. A forward pass is a call of the model, or of one of its
    modules outside of any other; what a backward pass repeats for its own purposes is no call.
    """

    def __init__(self, table: ModuleTable) -> None:
        self._table = table
        self._turns = count(1)
        self._calls: dict[int, _Calls] = {}  # by thread: a context may be carried into others
        self.elsewhere = False  # whether the model was also called outside of this context

    @contextmanager
    def attached(self, paths: Iterable[str], listener: ModuleListener, *, failures: bool = False) -> Iterator[None]:
        """Hook the modules ``paths``; whatever happens inside, exactly these hooks are removed afterwards.

        ``failures`` also hears of calls that raise, at once: only then is it known which module runs operators.

        Raises:
            ModelError: a path leads to a TorchScript module, whose hooks would never fire.
        """
        handles: list[RemovableHandle] = []
        try:
            with held_back():
                _observing.set((*_observing.get(), self))
                for path in paths:
                    module = self._table.modules[path]
                    _refuse_script(path, module)
                    last = failures or not path  # a model that raised has ended its pass
                    handles.append(module.register_forward_pre_hook(self._before(path, listener), with_kwargs=True))
                    handles.append(module.register_forward_hook(self._after(path, listener, last), with_kwargs=True))
                    if last:
                        handles.append(module.register_forward_hook(self._last(listener), always_call=True))
            yield
        finally:
            to_the_end(lambda: self._detach(handles))

    def _detach(self, handles: list[RemovableHandle]) -> None:
        for handle in handles:
            handle.remove()
        _observing.set(tuple(hooks for hooks in _observing.get() if hooks is not self))
        self._calls.clear()

    @property
    def here(self) -> bool:
        """Whether what runs now is to be heard: in this context, and not repeated by a backward pass."""
        return self in _observing.get() and backward_pass() == _NO_BACKWARD

    def _heard(self) -> bool:
        if self not in _observing.get():
            self.elsewhere = True
            return False
        return bool(backward_pass() == _NO_BACKWARD)

    @property
    def _thread(self) -> _Calls:
        calls = self._calls.get(get_ident())
        return self._calls.setdefault(get_ident(), _Calls()) if calls is None else calls

    # Keywords may be missing below: torch looks up whether a hook takes them after it chose the hooks to call, and
    # another thread may take hooks off in between.

    def _before(self, path: str, listener: ModuleListener) -> Callable[..., None]:
        def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> None:
            if not self._heard():
                return
            calls = self._thread
            if not calls.running or (not path and not _is_inside(module)):
                # A run that was cut short may have left its open calls behind.
                calls.turn = next(self._turns)
                calls.counts.clear()
                calls.running.clear()
                calls.returned.clear()
                listener.began(calls.turn)
            call = calls.counts[path]
            calls.counts[path] += 1
            event = Event(self._table.call_name(path, call), path, call, module, turn=calls.turn)
            calls.running.append((module, event))
            listener.entered(event, args, kwargs or {})

        return before

    def _after(self, path: str, listener: ModuleListener, last: bool) -> Callable[..., None]:
        def after(module: nn.Module, args: tuple[Any, ...], *given: Any) -> None:
            kwargs, output = given if len(given) == 2 else ({}, given[0])
            if not self._heard():
                if self in _observing.get():
                    listener.repeated(path, output)
                return
            calls = self._thread
            # Calls left open above this one raised inside and were caught by the model.
            while calls.running:
                running, event = calls.running.pop()
                if running is module:
                    if last:
                        calls.returned.append(module)
                    listener.left(event, args, kwargs, output)
                    return

        return after

    def _last(self, listener: ModuleListener) -> Callable[..., None]:
        def last(module: nn.Module, *_: Any) -> None:
            """Runs after every call, also one that raised and so was not told to have ended."""
            if not self.here:
                return
            calls = self._thread
            if calls.returned and calls.returned[-1] is module:
                calls.returned.pop()
                return
            while calls.running:
                running, event = calls.running.pop()
                listener.failed(event)
                if running is module:
                    return

        return last

    @property
    def running(self) -> Iterator[Event]:
        """The hooked modules that are running, innermost first."""
        return (event for _, event in reversed(self._thread.running))

    @property
    def innermost(self) -> str:
        """The path of the innermost hooked module that is running, "" outside of all."""
        running = self._thread.running
        return running[-1][1].path if running else ""

    @property
    def turn(self) -> int:
        """The number of the forward pass that is running, or ran last, in this thread."""
        return self._thread.turn


def _is_inside(module: nn.Module) -> bool:
    """Whether ``module``, which is being called, is running already: it calls itself.

    Asked of Python's own stack, since a call that an interrupt ended says nothing of its end.
    """
    frame, found = sys._getframe(2), 0
    while frame is not None and found < 2:
        found += frame.f_code is code_of_calls and frame.f_locals.get("self") is module
        frame = frame.f_back  # type: ignore[assignment]
    return found == 2


def _refuse_script(path: str, module: nn.Module) -> None:
    if isinstance(module, torch.jit.ScriptModule):
        raise ModelError(
            f"{path or 'the model'!r} is TorchScript, whose hooks never fire",
            "select the module around it, or give the Python module from which it was made",
        )
