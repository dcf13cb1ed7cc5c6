"""Hooks that do not keep their owner alive, and that go when it goes."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

from torch.utils.hooks import RemovableHandle


class OwnedHook:
    """Calls a method of its owner, as long as somebody else still knows the owner.

    Args:
        owner: whoever listens.
        method: the name of its method.
        first: arguments that come before those of the hook.
    """

    def __init__(self, owner: Any, method: str, *first: Any) -> None:
        self._owner = weakref.ref(owner)
        self._method = method
        self._first = first

    def __call__(self, *args: Any) -> None:
        owner = self._owner()
        if owner is not None:
            getattr(owner, self._method)(*self._first, *args)

    def __getstate__(self) -> tuple[Any, str, tuple[Any, ...]]:
        # A copy of the model together with its owner has the owner's copy.
        return self._owner(), self._method, self._first

    def __setstate__(self, state: tuple[Any, str, tuple[Any, ...]]) -> None:
        owner, self._method, self._first = state
        self._owner = weakref.ref(_Gone() if owner is None else owner)


class _Gone:
    """An owner that is no more."""


def remove_with(owner: object, handles: Iterable[RemovableHandle]) -> None:
    """Remove what is in ``handles`` when ``owner`` is dropped."""
    weakref.finalize(owner, remove_all, handles).atexit = False


def remove_all(handles: Iterable[RemovableHandle]) -> None:
    """Remove every hook."""
    for handle in handles:
        handle.remove()
