"""Leave everything as it was: the model, the random number generators and torch's switches."""

from __future__ import annotations

import gc
import operator
import random
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn

from torchstat_cli.capture.replacing import replaced
from torchstat_cli.errors import ModelError

_CONTAINERS = (dict, list, set)
_PLAIN_CONTAINERS = frozenset((*_CONTAINERS, OrderedDict))
_REGISTRIES = frozenset(("_parameters", "_buffers", "_modules"))


class Snapshot:
    """The attributes of every module, one level deep: hooks, parameters, buffers, flags, caches.

    Tensors themselves are not copied: a dummy run works on twins of them.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self._modules = [(module, vars(module).copy()) for module in modules]
        self._empty: list[Any] = []  # most containers of most modules
        self._registries: list[tuple[Any, list[Any]]] = []  # of parameters, buffers, children; and what they hold
        self._contents: list[tuple[Any, list[Any]]] = []  # the other containers, and what they hold
        for _, attributes in self._modules:
            for name, value in attributes.items():
                if isinstance(value, _CONTAINERS):
                    if type(value) in _PLAIN_CONTAINERS and not value:
                        self._empty.append(value)
                    else:
                        kept = self._registries if name in _REGISTRIES else self._contents
                        kept.append((value, _contents(value)))

    def restore(self) -> None:
        """Put every attribute back, and every dict, list or set that was one to its former content.

        Parameters come first, whatever the containers of the model's own do. What did not change is not touched.

        Raises:
            ModelError: a container cannot be filled again, once everything else is back.
        """
        for module, attributes in self._modules:
            _restore_attributes(vars(module), attributes)
        for container in filter(None, self._empty):
            _refill(container, [])
        refusal: ModelError | None = None
        for container, contents in (*self._registries, *self._contents):
            try:
                if not _holds(container, contents):
                    _refill(container, contents)
            except Exception as error:  # its keys are foreign code too: hashes, comparisons
                refusal = refusal or _refusal(container, error)
        if refusal is not None:
            raise refusal


def _refusal(container: Any, cause: Exception) -> ModelError:
    error = ModelError(
        f"a {type(container).__name__} that the model holds cannot be put back as it was: "
        f"{type(cause).__name__}: {cause}",
        "build the model again; its parameters are as they were",
    )
    error.__cause__ = cause
    return error


def _restore_attributes(state: dict[str, Any], attributes: dict[str, Any]) -> None:
    """Make ``state`` equal ``attributes``, order included, without a moment in which most of it is missing."""
    state.update(attributes)
    for name in [name for name in state if name not in attributes]:
        del state[name]
    if not all(map(operator.is_, state, attributes)):
        for name in attributes:
            state[name] = state.pop(name)


# A container's class may refuse changes, or know no length; its base class has the items all the same.


def _contents(container: Any) -> list[Any]:
    """What a dict (keys, values), a list or a set holds."""
    if isinstance(container, OrderedDict):
        return [part for item in OrderedDict.items(container) for part in item]
    if isinstance(container, dict):
        return [*dict.keys(container), *dict.values(container)]
    return list(list.__iter__(container) if isinstance(container, list) else set.__iter__(container))


def _holds(container: Any, contents: list[Any]) -> bool:
    """Whether the container holds the very same objects, in the same order where it has one."""
    now = _contents(container)
    return len(now) == len(contents) and all(map(operator.is_, now, contents))


def _refill(container: Any, contents: list[Any]) -> None:
    if isinstance(container, OrderedDict):
        OrderedDict.clear(container)
        for key, value in zip(contents[::2], contents[1::2], strict=True):
            OrderedDict.__setitem__(container, key, value)
    elif isinstance(container, dict):
        half = len(contents) // 2
        dict.clear(container)
        dict.update(container, zip(contents[:half], contents[half:], strict=True))
    elif isinstance(container, list):
        list.__setitem__(container, slice(None), contents)
    else:
        set.clear(container)
        set.update(container, contents)


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
