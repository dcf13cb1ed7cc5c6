"""Modes of torch that may be left in any order, and in several threads: each thread has a stack of its own."""

from __future__ import annotations

import threading
from typing import Any

from torchstat_cli.errors import UsageError
from torchstat_cli.torch_access.internals import (
    TorchDispatchMode,
    dispatch_mode_at,
    function_modes,
    open_dispatch_modes,
    pop_dispatch_mode,
    pop_function_mode,
    push_dispatch_mode,
    push_function_mode,
)

_lock = threading.RLock()
_entered: list[TorchDispatchMode] = []  # in all threads, in order


def is_open_here(mode: TorchDispatchMode | None) -> bool:
    """Whether ``mode`` sees what this thread does: modes do not follow into threads, but into those of autograd."""
    place = open_dispatch_modes()
    while place:
        place -= 1
        if dispatch_mode_at(place) is mode:
            return True
    return False


def refuse_faking() -> None:
    """Raise where torch's ``FakeTensorMode`` answers for every operator in this thread.

    Raises:
        UsageError: it does.
    """
    modes = [dispatch_mode_at(place) for place in range(open_dispatch_modes())]
    if any(type(mode).__name__ == "FakeTensorMode" for mode in modes):  # the class takes long to import
        raise UsageError(
            "nothing runs for real inside FakeTensorMode, which is open here", "leave its block, or leave device out"
        )


def enter(mode: TorchDispatchMode) -> None:
    """Enter ``mode``, to be left by :func:`leave`."""
    with _lock:
        mode.__enter__()
        _entered.append(mode)


def leave(mode: TorchDispatchMode) -> None:
    """Leave ``mode`` wherever it lies in this thread's stack; those entered later stay open.

    Where it is not open here, its thread has ended, and its stack with it; torch's flags are the whole process's.
    """
    with _lock:
        if not is_open_here(mode):
            push_dispatch_mode(mode)
        later: list[TorchDispatchMode] = []
        while dispatch_mode_at(open_dispatch_modes() - 1) is not mode:
            later.append(pop_dispatch_mode())
        place = _entered.index(mode)
        following = [*_entered[place + 1 :], *later[::-1]]
        if following:
            _exchange_flags(mode, following[0])
        del _entered[place]
        mode.__exit__(None, None, None)
        for other in reversed(later):
            push_dispatch_mode(other)


def _exchange_flags(mode: TorchDispatchMode, following: TorchDispatchMode) -> None:
    """Each remembers how it found torch's flags; the one that followed is to find them as if ``mode`` never was."""
    for name in [name for name in vars(mode) if name.startswith("old_") and name.endswith("_dispatch_mode_flags")]:
        own, other = getattr(mode, name), getattr(following, name, None)
        if own and other:
            own[-1], other[-1] = other[-1], own[-1]


def leave_function_mode(mode: Any) -> None:
    """Take a function mode out of this thread's stack, if it is there; those entered later stay open."""
    stack = function_modes()
    if not any(other is mode for other in stack):
        return
    later: list[Any] = []
    while (other := pop_function_mode()) is not mode:
        later.append(other)
    for other in reversed(later):
        push_function_mode(other)
