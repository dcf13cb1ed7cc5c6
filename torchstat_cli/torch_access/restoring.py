"""Leave a model as it was: its attributes, its containers, its modes and the contents of its buffers."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

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
def same_modes(model: nn.Module) -> Iterator[None]:
    """Restore every module's own ``training`` flag; ``model.train()`` would flatten a frozen part's."""
    flags = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for module, training in flags.items():
            # A TorchScript module keeps its flag behind a property; both take plain assignment.
            if module.training != training:
                module.training = training


@contextmanager
def same_buffers(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Restore the contents of the modules' buffers."""
    buffers = {buffer: None for module in modules for buffer in module.buffers(recurse=False)}
    contents = [(buffer, buffer.detach().clone()) for buffer in buffers if not buffer.is_inference()]
    try:
        yield
    finally:
        for buffer, content in contents:
            _restore_contents(buffer, content)


def _restore_contents(buffer: Tensor, content: Tensor) -> None:
    # Written only if need be: a backward pass may still be waiting for the untouched buffer. (The version counter
    # cannot tell: batch norm does not raise it.)
    if not buffer.is_meta and not torch.equal(buffer, content):
        with torch.no_grad():
            buffer.copy_(content)
