"""Leave everything as it was: the model, the random number generators and torch's switches."""

from __future__ import annotations

import gc
import random
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from torchstat_cli.capture.replacing import replaced

_CONTAINERS = (dict, list, set)


class Snapshot:
    """The attributes of every module, one level deep: hooks, parameters, buffers, flags, caches.

    Tensors themselves are not copied: a dummy run works on twins of them.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self._modules = [(module, vars(module).copy()) for module in modules]
        self._contents: list[tuple[Any, Any]] = []  # containers, and copies of what they hold
        self._empty: list[Any] = []  # most containers of most modules
        for _, attributes in self._modules:
            for container in [value for value in attributes.values() if isinstance(value, _CONTAINERS)]:
                if container:
                    self._contents.append((container, container.copy()))
                else:
                    self._empty.append(container)

    def restore(self) -> None:
        """Put every attribute back, and every dict, list or set that was one to its former content."""
        for container in filter(None, self._empty):
            container.clear()
        for container, content in self._contents:
            if isinstance(container, list):
                container[:] = content
            else:
                container.clear()
                container.update(content)
        for module, attributes in self._modules:
            state = vars(module)
            state.clear()
            state.update(attributes)


@contextmanager
def untouched(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Restore the attributes of ``modules`` afterwards, also when the run raised."""
    snapshot = Snapshot(modules)
    try:
        yield
    finally:
        snapshot.restore()


@contextmanager
def without_collection() -> Iterator[None]:
    """Hold Python's cyclic garbage collector back: a run makes many records and tensors, and no cycles."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def untouched_generators() -> Iterator[None]:
    """Restore the random state of Python, NumPy and torch afterwards."""
    python_state = random.getstate()
    numpy: Any = sys.modules.get("numpy")
    numpy_state = numpy.random.get_state() if numpy else None
    torch_state = torch.get_rng_state()
    cuda_states = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    try:
        yield
    finally:
        random.setstate(python_state)
        if numpy_state is not None:
            numpy.random.set_state(numpy_state)
        torch.set_rng_state(torch_state)
        if cuda_states is not None:
            torch.cuda.set_rng_state_all(cuda_states)


class Switch(AbstractContextManager[None]):
    """A switch of the whole process: the first run throws it, the last of those in several threads puts it back.

    If each put back what it found, a run that began while another was under way would leave the switch thrown.
    """

    def __init__(self, throw: Callable[[], AbstractContextManager[None]]) -> None:
        self._throw = throw
        self._lock = threading.Lock()
        self._users = 0
        self._thrown: AbstractContextManager[None] = nullcontext()

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0:
                self._thrown = self._throw()
                self._thrown.__enter__()
            self._users += 1

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._thrown.__exit__(None, None, None)


def without_compiler() -> AbstractContextManager[None]:
    """Run compiled modules and functions as the eager code they came from: compiled graphs hide their operators."""
    if "torch._dynamo" in sys.modules:
        return _eager_stance
    # Nothing is compiled yet, and importing the compiler takes a second: what asks for it now gets eager code.
    return _no_compiling


def _leave_as_it_is(model: Any = None, **options: Any) -> Any:
    """``torch.compile``, which is a decorator with options too."""
    return (lambda given: given) if model is None else model


_eager_stance = Switch(lambda: torch.compiler.set_stance("force_eager"))
_no_compiling = Switch(lambda: replaced(torch, "compile", _leave_as_it_is))


def without_fast_paths() -> AbstractContextManager[None]:
    """Switch off the fused encoder and attention kernels of ``nn``, which hide their parts, and restore the switch."""
    return _no_fast_paths


@contextmanager
def _fast_paths_off() -> Iterator[None]:
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


_no_fast_paths = Switch(_fast_paths_off)
