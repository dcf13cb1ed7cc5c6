"""Leave a model as it was: its attributes, its containers, its modes and the contents of its buffers."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from torchstat_cli.errors import ModelError
from torchstat_cli.foreign_text import named
from torchstat_cli.torch_access.modules import modules_of, set_mode
from torchstat_cli.torch_access.reach import Held, Reach


class Snapshot:
    """What is reachable from a model and its inputs, so that it can be put back.

    Tensors themselves are not copied: a dummy run works on stand-ins for them.
    """

    def __init__(self, reach: Reach) -> None:
        self._reach = reach

    def restore(self) -> None:
        """Put back every attribute, the contents of every container and object, the state of every generator.

        Parameters come first, whatever the containers of the model's own do. What did not change is not touched.

        Raises:
            ModelError: something cannot be filled again, once everything else is back.
        """
        reach = self._reach
        for module, attributes in reach.modules:
            _restore_attributes(vars(module), attributes)
        for container in filter(None, reach.empty):
            container.clear()
        refusal: ModelError | None = None
        for registry, members in reach.registries:
            _restore_attributes(registry, members)
        for held in reach.held:
            try:
                if not _holds(held):
                    held.kind.write(held.holder, held.contents)
            except Exception as error:  # keys and setters are foreign code too
                refusal = refusal or _refusal(held.holder, error)
        if refusal is not None:
            raise refusal


def _holds(held: Held) -> bool:
    """Whether the object holds the very same objects, in the same order where it has one."""
    if not held.kind.holds_objects:
        return False
    now = held.kind.read(held.holder)
    return len(now) == len(held.contents) and all(map(operator.is_, now, held.contents))


def _refusal(holder: Any, cause: Exception) -> ModelError:
    error = ModelError(
        f"a {type(holder).__name__} that the model holds cannot be put back as it was: {named(cause)}",
        "build the model again; its parameters are as they were",
    )
    error.__cause__ = cause
    return error


def _is_same(state: dict[str, Any], attributes: dict[str, Any]) -> bool:
    return (
        len(state) == len(attributes)
        and all(map(operator.is_, state.values(), attributes.values()))
        and all(map(operator.is_, state, attributes))
    )


def _restore_attributes(state: dict[str, Any], attributes: dict[str, Any]) -> None:
    """Make ``state`` equal ``attributes``, order included, without a moment in which most of it is missing."""
    if _is_same(state, attributes):
        return  # the usual case
    state.update(attributes)
    if len(state) != len(attributes):
        for name in [name for name in state if name not in attributes]:
            del state[name]
    if not all(map(operator.is_, state, attributes)):
        for name in attributes:
            state[name] = state.pop(name)


@contextmanager
def untouched(modules: Iterable[nn.Module], values: Iterable[Any] = ()) -> Iterator[Reach]:
    """Restore all that is reachable from ``modules`` and ``values`` afterwards, also when the run raised."""
    reach = Reach(modules, values)
    snapshot = Snapshot(reach)
    try:
        yield reach
    finally:
        snapshot.restore()


@contextmanager
def same_modes(model: nn.Module) -> Iterator[None]:
    """Restore every module's own ``training`` flag; ``model.train()`` would flatten a frozen part's."""
    flags = [(module, module.training) for module in modules_of(model)]
    try:
        yield
    finally:
        for module, training in flags:
            set_mode(module, training)


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
