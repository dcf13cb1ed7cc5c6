"""Follow a model that changes after it was traced: its graph is then no longer its program."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from torchstat_cli.activations.graph.certainty import outside_state, read_outside, state_of, traced_through
from torchstat_cli.activations.runtime.extractor import LiveExtractor
from torchstat_cli.activations.selection.leaves import TracerOptions
from torchstat_cli.torch_access.modules import set_mode
from torchstat_cli.torch_access.restoring import same_modes


class Original:
    """The model that a graph was traced from, as long as somebody else keeps it, and as it was then.

    Args:
        root: the model.
        options: which of its modules are leaves, whose own forward runs in the graph too.
        live: makes the extractor that runs the model itself.
    """

    def __init__(self, root: nn.Module, options: TracerOptions, live: Callable[[nn.Module], LiveExtractor]) -> None:
        self._root = weakref.ref(root)
        self._options = options
        self._make = live
        modules = traced_through(root, options)
        # Looked up once: who replaces one of them changes the module around it, too.
        self._modules = [weakref.ref(module) for module in modules]
        self._outside = read_outside(modules)
        self._state = state_of(modules), outside_state(self._outside)
        self.live: LiveExtractor | None = None  # once the model has changed

    def has_changed(self) -> bool:
        """Whether the model is another one than was traced; said once, in a warning."""
        if self.live is not None:
            return True
        root = self._root()
        if root is None or torch.compiler.is_compiling():
            return False
        modules = [module for ref in self._modules if (module := ref()) is not None]
        if len(modules) == len(self._modules) and (state_of(modules), outside_state(self._outside)) == self._state:
            return False
        warnings.warn(
            f"{type(root).__name__} was changed after this extractor was built, so its graph is out of date: the "
            "model itself runs from now on; build a new extractor to have a graph again",
            UserWarning,
            stacklevel=4,
        )
        self.live = self._make(root)
        return True

    def run(self, training: bool, args: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        """What was selected, of a run of the model; its containers in the extractor's mode, as its leaves are."""
        assert self.live is not None
        with same_modes(self.live.model):
            for module in traced_through(self.live.model, self._options):
                set_mode(module, training)
            self.live.training = training
            result: dict[str, Any] = self.live(*args, **kwargs)
        return result
