"""Replace functions of torch, and throw switches of the process, for the length of a run.

Runs overlap: in threads, and in generators or notebooks that end in another order than they began. So nobody puts back
what he found. Replacements stand in a list per function and thread; torch's own function returns with the last of them.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

Around = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Gets the function that stands below, and gives the one that replaces it."""

_lock = threading.RLock()


class _Place:
    """An attribute that holds a function, and who replaces it at present."""

    def __init__(self, owner: Any, name: str) -> None:
        self._owner, self._name = owner, name
        own = vars(owner)
        self._was_own = name in own
        self._stored = own.get(name)  # as it lies in the class: perhaps a staticmethod
        self._original: Callable[..., Any] = getattr(owner, name)
        self._layers: dict[int, list[Around]] = {}  # by thread, innermost first
        self._chains: dict[int, Callable[..., Any]] = {}  # by thread: all of its layers in one call

    def add(self, thread: int, layer: Around) -> None:
        if not self._layers:
            setattr(self._owner, self._name, self._dispatcher())
        self._change(thread, [*self._layers.get(thread, []), layer])

    def remove(self, thread: int, layer: Around) -> bool:
        """Take the layer out, wherever it stands; whether it was the last of all."""
        layers = self._layers[thread].copy()
        layers.remove(layer)
        self._change(thread, layers)
        return self._leave()

    def keep_only(self, thread: int) -> bool:
        """Take out the layers of other threads; whether none is left."""
        for other in [user for user in self._layers if user != thread]:
            self._change(other, [])
        return self._leave()

    def _leave(self) -> bool:
        if self._layers:
            return False
        if self._was_own:
            setattr(self._owner, self._name, self._stored)
        else:
            delattr(self._owner, self._name)
        return True

    def _change(self, thread: int, layers: list[Around]) -> None:
        if not layers:
            self._chains.pop(thread)
            self._layers.pop(thread)
            return
        function = self._original
        for layer in layers:
            function = layer(function)
        self._layers[thread] = layers
        self._chains[thread] = function

    def _dispatcher(self) -> Callable[..., Any]:
        original, chain_of, thread = self._original, self._chains.get, threading.get_ident

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            return chain_of(thread(), original)(*args, **kwargs)

        return call


_places: dict[tuple[int, str], _Place] = {}


@contextmanager
def replaced(owner: Any, name: str, around: Around) -> Iterator[None]:
    """Calls of the function ``owner.name`` from this thread go to ``around(function)`` within the context.

    What a class inherited before, it inherits again afterwards.

    Args:
        owner: a module or class.
        name: of a function, or of a method where the owner is a class.
        around: gets what stands below (torch's own function, or an outer replacement) and returns the replacement.
    """
    thread, key = threading.get_ident(), (id(owner), name)

    def layer(function: Callable[..., Any]) -> Callable[..., Any]:
        return around(function)  # a layer of its own each time: the same ``around`` may be in use twice

    with _lock:
        if key not in _places:
            _places[key] = _Place(owner, name)
        _places[key].add(thread, layer)
    try:
        yield
    finally:
        with _lock:
            if _places[key].remove(thread, layer):
                del _places[key]


class Switch:
    """A switch of the whole process: the first run throws it, the last of those in several threads puts it back.

    If each put back what it found, a run that began while another was under way would leave the switch thrown.

    Args:
        throw: makes the context in which the switch is thrown.
    """

    def __init__(self, throw: Callable[[], AbstractContextManager[Any]]) -> None:
        self._throw = throw
        self._users: list[int] = []  # their threads
        self._thrown: AbstractContextManager[Any] = nullcontext()
        _switches.append(self)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """The switch is thrown within the context."""
        thread = threading.get_ident()
        with _lock:
            if not self._users:
                self._thrown = self._throw()
                self._thrown.__enter__()
            self._users.append(thread)
        try:
            yield
        finally:
            with _lock:
                self._users.remove(thread)
                if not self._users:
                    self._thrown.__exit__(None, None, None)

    def keep_only(self, thread: int) -> None:
        """Forget the users in other threads."""
        others = [user for user in self._users if user != thread]
        self._users = [user for user in self._users if user == thread]
        if others and not self._users:
            self._thrown.__exit__(None, None, None)


_switches: list[Switch] = []


def _after_fork() -> None:
    """A forked process has only the thread that forked: what others lent themselves does not come back by itself."""
    global _lock
    _lock = threading.RLock()
    thread = threading.get_ident()
    for key, place in list(_places.items()):
        if place.keep_only(thread):
            del _places[key]
    for switch in _switches:
        switch.keep_only(thread)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
