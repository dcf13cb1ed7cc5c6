"""Attach hooks to modules, number their calls, and keep the path of the module that is running."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from torchstat_cli.activations.events import Event
from torchstat_cli.activations.selection.naming import ModuleTable
from torchstat_cli.errors import ModelError
from torchstat_cli.torch_access.interrupts import held_back, to_the_end


class ModuleListener(Protocol):
    """Hears of every call of the hooked modules."""

    def entered(self, event: Event, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A module is about to run."""

    def left(self, event: Event, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        """A module has run."""

    def failed(self, event: Event) -> None:
        """A module has raised, and the model may go on without it."""


def _remove(handles: list[RemovableHandle]) -> None:
    for handle in handles:
        handle.remove()


class ModuleHooks:
    """Hooks on some modules of a model, for the length of a ``with`` block."""

    def __init__(self, table: ModuleTable, listener: ModuleListener) -> None:
        self._table = table
        self._listener = listener
        self._counts: dict[str, int] = defaultdict(int)
        self._running: list[tuple[nn.Module, Event]] = []  # innermost last; hooked modules only
        self._returned: list[nn.Module] = []  # whose `left` was told, and whose last hook is still to run

    @contextmanager
    def attached(self, paths: Iterable[str], *, failures: bool = False) -> Iterator[None]:
        """Hook the modules ``paths``; whatever happens inside, exactly these hooks are removed afterwards.

        ``failures`` also hears of calls that raise, at once: only then is it known which module runs operators.

        Raises:
            ModelError: a path leads to a TorchScript module, whose hooks would never fire.
        """
        handles: list[RemovableHandle] = []
        try:
            with held_back():
                for path in paths:
                    module = self._table.modules[path]
                    _refuse_script(path, module)
                    handles.append(module.register_forward_pre_hook(self._before(path), with_kwargs=True))
                    handles.append(module.register_forward_hook(self._after(failures), with_kwargs=True))
                    if failures:
                        handles.append(module.register_forward_hook(self._last, always_call=True))
            yield
        finally:
            to_the_end(lambda: _remove(handles))
            self._running.clear()
            self._returned.clear()

    def _before(self, path: str) -> Callable[..., None]:
        def before(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if not path:
                # A run that was cut short left its open calls behind.
                self._running.clear()
                self._returned.clear()
            call = self._counts[path]
            self._counts[path] += 1
            event = Event(self._table.call_name(path, call), path, call, module)
            self._running.append((module, event))
            self._listener.entered(event, args, kwargs)

        return before

    def _after(self, failures: bool) -> Callable[..., None]:
        def after(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            # Calls left open above this one raised inside and were caught by the model.
            while self._running:
                running, event = self._running.pop()
                if running is module:
                    if failures:
                        self._returned.append(module)
                    self._listener.left(event, args, kwargs, output)
                    return

        return after

    def _last(self, module: nn.Module, *_: Any) -> None:
        """Runs after every call, also one that raised and so was not told to have ended."""
        if self._returned and self._returned[-1] is module:
            self._returned.pop()
            return
        while self._running:
            running, event = self._running.pop()
            self._listener.failed(event)
            if running is module:
                return

    @property
    def running(self) -> Iterator[Event]:
        """The hooked modules that are running, innermost first."""
        return (event for _, event in reversed(self._running))

    @property
    def innermost(self) -> str:
        """The path of the innermost hooked module that is running, "" outside of all."""
        return self._running[-1][1].path if self._running else ""


def _refuse_script(path: str, module: nn.Module) -> None:
    if isinstance(module, torch.jit.ScriptModule):
        raise ModelError(
            f"{path or 'the model'!r} is TorchScript, whose hooks never fire",
            "select the module around it, or give the Python module from which it was made",
        )
