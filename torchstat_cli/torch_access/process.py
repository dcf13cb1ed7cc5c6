"""Leave the process as it was: import path, directory, random state, defaults, standard output, garbage collection.

Such state is the whole process's, so only one guest at a time may borrow it; others wait for their turn.
"""

from __future__ import annotations

import ctypes
import gc
import os
import random
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from typing import Any

import torch

from torchstat_cli.torch_access.interrupts import held_back, let_through
from torchstat_cli.torch_access.patching import Switch

_SEED = 0  # any number would do


def one_guest_at_a_time() -> AbstractContextManager[Any]:
    """Hold the process for this thread, while foreign code runs that changes its state, which is put back."""
    return _guest


_guest = threading.RLock()


def _renew() -> None:
    # In a forked process the thread that held the lock is gone.
    global _guest
    _guest = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


@contextmanager
def untouched_process(import_path: Sequence[str] = ()) -> Iterator[None]:
    """Everything that a model's code commonly changes is put back on leaving, also after an exception.

    What the code prints goes to standard error: standard output belongs to results.

    Args:
        import_path: folders placed first on ``sys.path`` inside.
    """
    with one_guest_at_a_time(), held_back(), untouched_generators():
        path, directory = list(sys.path), os.getcwd()
        dtype, grad = torch.get_default_dtype(), torch.is_grad_enabled()
        sys.path[:0] = import_path
        try:
            with redirect_stdout(sys.stderr), let_through():
                yield
        finally:
            sys.path[:] = path
            os.chdir(directory)
            torch.set_default_dtype(dtype)
            torch.set_grad_enabled(grad)


class _Local(threading.local):
    left_alone = False  # the generators, in this thread


_local = _Local()


@contextmanager
def generators_left_alone() -> Iterator[None]:
    """Inside, runs neither seed nor restore any generator: what they draw, the caller does not draw again."""
    before, _local.left_alone = _local.left_alone, True
    try:
        yield
    finally:
        _local.left_alone = before


@contextmanager
def untouched_generators(drew: Callable[[], bool] = lambda: True) -> Iterator[None]:
    """Restore the random state of Python, NumPy and torch afterwards, where it has changed.

    The generators are the whole process's: what other threads drew from one that is restored, they draw again.

    Args:
        drew: whether torch's generator was drawn from inside; asked where another thread may have done it.
    """
    if _local.left_alone:
        yield
        return
    numpy: Any = sys.modules.get("numpy")
    python_state = random.getstate()
    numpy_state = numpy.random.get_state() if numpy else None
    torch_state, seed = torch.get_rng_state(), torch.initial_seed()
    cuda_states = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    try:
        yield
    finally:
        if random.getstate() != python_state:
            random.setstate(python_state)
        if numpy_state is not None and not _equal(numpy.random.get_state(), numpy_state):
            numpy.random.set_state(numpy_state)
        changed = contents(torch.get_rng_state()) != contents(torch_state)
        if changed and (threading.active_count() == 1 or torch.initial_seed() != seed or drew()):
            torch.set_rng_state(torch_state)
        if cuda_states is not None:
            torch.cuda.set_rng_state_all(cuda_states)


def random_states() -> tuple[Any, ...]:
    """The random states of Python, NumPy and torch, to compare."""
    numpy: Any = sys.modules.get("numpy")
    drawn = None if numpy is None else [str(part) if i != 1 else part.tobytes()
                                        for i, part in enumerate(numpy.random.get_state())]  # fmt: skip
    return random.getstate(), drawn, contents(torch.get_rng_state())


def contents(state: torch.Tensor) -> bytes:
    """The bytes of a generator's state, read below every mode that watches operators."""
    return ctypes.string_at(state.data_ptr(), state.numel())


def _equal(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    """Whether two states of NumPy's generator are equal."""
    return bool((one[1] == other[1]).all()) and one[2:] == other[2:]


@contextmanager
def same_random_numbers() -> Iterator[None]:
    """Inside, Python, NumPy and torch draw the same numbers in every process; the caller's generators stay as they are.

    What a model costs may depend on its weights: gates that open or not, boxes above a threshold.
    """
    if _local.left_alone:
        yield
        return
    with one_guest_at_a_time(), untouched_generators():
        random.seed(_SEED)
        numpy: Any = sys.modules.get("numpy")
        if numpy:
            numpy.random.seed(_SEED)
        # Not torch.manual_seed, which would seed the generators of a GPU that is used for the first time later.
        torch.default_generator.manual_seed(_SEED)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(_SEED)
        yield


def without_collection() -> AbstractContextManager[None]:
    """Hold Python's cyclic garbage collector back: a run makes many records and tensors, and no cycles."""
    return _no_collection()


@contextmanager
def _collector_off() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


_no_collection = Switch(_collector_off)
