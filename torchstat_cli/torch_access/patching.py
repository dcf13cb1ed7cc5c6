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
    """An attribute that holds a function, and who replaces it at present.

    It is kept between uses, with the dispatcher made for the function: runs replace the same functions again and again.
    """

    def __init__(self, owner: Any, name: str) -> None:
        self._owner, self._name = owner, name
        self._original: Any = None  # the function that the dispatcher was made for
        self._layers: dict[int, list[_Replacement]] = {}  # by thread, innermost first

    def add(self, thread: int, layer: _Replacement) -> None:
        if not self._layers:
            self._occupy()
        self._change(thread, [*self._layers.get(thread, ()), layer])

    def remove(self, thread: int, layer: _Replacement) -> None:
        """Take the layer out, wherever it stands; the last of all puts back what was there."""
        self._change(thread, [other for other in self._layers[thread] if other is not layer])
        if not self._layers:
            self._leave()

    def keep_only(self, thread: int) -> None:
        """Take out the layers of other threads."""
        others = [user for user in self._layers if user != thread]
        for other in others:
            self._change(other, [])
        if others and not self._layers:
            self._leave()

    def _occupy(self) -> None:
        own = vars(self._owner)
        self._was_own = self._name in own
        self._stored = own.get(self._name)  # as it lies in the class: perhaps a staticmethod
        original = getattr(self._owner, self._name)
        if original is not self._original:
            # Chains of its own: who kept the dispatcher before, and wraps it now, reaches the function below.
            self._original = original
            self._chains: dict[int, Callable[..., Any]] = {}  # by thread: all of its layers in one call
            self._dispatcher = _dispatcher(original, self._chains)
        setattr(self._owner, self._name, self._dispatcher)

    def _leave(self) -> None:
        if self._was_own:
            setattr(self._owner, self._name, self._stored)
        else:
            delattr(self._owner, self._name)

    def _change(self, thread: int, layers: list[_Replacement]) -> None:
        if not layers:
            self._chains.pop(thread)
            self._layers.pop(thread)
            return
        function = self._original
        for layer in layers:
            function = layer.around(function)
        self._layers[thread] = layers
        self._chains[thread] = function


def _dispatcher(original: Callable[..., Any], chains: dict[int, Callable[..., Any]]) -> Callable[..., Any]:
    """Calls the chain of the calling thread, ``original`` in threads without one."""
    chain_of, thread = chains.get, threading.get_ident

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        return chain_of(thread(), original)(*args, **kwargs)

    return call


_places: dict[tuple[int, str], _Place] = {}


class _Replacement(AbstractContextManager[None]):
    """One use of :func:`replaced`, a layer in its place; a class, since every run makes a dozen."""

    def __init__(self, owner: Any, name: str, around: Around) -> None:
        self._owner, self._name = owner, name
        self.around = around

    def __enter__(self) -> None:
        self._thread = threading.get_ident()
        key = id(self._owner), self._name  # the place keeps the owner, and so its id
        with _lock:
            place = _places.get(key)
            if place is None:
                place = _places[key] = _Place(self._owner, self._name)
            self._place = place
            place.add(self._thread, self)

    def __exit__(self, *exception: object) -> None:
        with _lock:
            self._place.remove(self._thread, self)


def replaced(owner: Any, name: str, around: Around) -> AbstractContextManager[None]:
    """Calls of the function ``owner.name`` from this thread go to ``around(function)`` within the context.

    What a class inherited before, it inherits again afterwards.

    Args:
        owner: a module or class of torch; it is kept for good.
        name: of a function, or of a method where the owner is a class.
        around: gets what stands below (torch's own function, or an outer replacement) and returns the replacement.
    """
    return _Replacement(owner, name, around)


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
    for place in _places.values():
        place.keep_only(thread)
    for switch in _switches:
        switch.keep_only(thread)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
