"""Borrow a model: whatever happens inside the block, it comes back as it was."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from torchstat_cli.activations.leaves import is_library_leaf


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
def same_attributes(model: nn.Module) -> Iterator[None]:
    """Restore what a forward pass may store on its modules: attributes, all that is registered, buffer contents."""
    modules = [module for module in model.modules() if not isinstance(module, torch.jit.ScriptModule)]
    attributes = [(module, dict(vars(module)), _registered(module)) for module in modules]
    contents = {
        buffer: buffer.detach().clone()
        for module, _, registered in attributes
        # Library modules are leaves of a trace: their forward does not run, their buffers cannot change.
        if not is_library_leaf(module)
        for buffer in registered["_buffers"].values()
        if buffer is not None and not buffer.is_inference()
    }
    try:
        yield
    finally:
        for module, variables, registered in attributes:
            vars(module).clear()
            vars(module).update(variables)
            for registry, members in registered.items():
                variables[registry].clear()
                variables[registry].update(members)
        for buffer, content in contents.items():
            _restore(buffer, content)


def _registered(module: nn.Module) -> dict[str, Any]:
    registries = ("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set")
    return {registry: copy.copy(vars(module)[registry]) for registry in registries}


def _restore(buffer: Tensor, content: Tensor) -> None:
    # Written only if need be: a backward pass may still be waiting for the untouched buffer. (The version counter
    # cannot tell: batch norm does not raise it.)
    if not buffer.is_meta and not torch.equal(buffer, content):
        with torch.no_grad():
            buffer.copy_(content)


@contextmanager
def same_random_state() -> Iterator[None]:
    """Restore the CPU random generator."""
    state = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(state)


@contextmanager
def same_state(model: nn.Module) -> Iterator[None]:
    """Restore every buffer's content, library modules' too: for a whole run in training mode."""
    contents = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    try:
        yield
    finally:
        for buffer, content in contents:
            _restore(buffer, content)
