"""A module that runs the model itself and returns what was selected: for every model, traceable or not."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from torchstat_cli.activations.runtime.observation import Observation, ObservationReport, ObserveOptions, run_observed
from torchstat_cli.activations.selection.engines import choose_live_engine
from torchstat_cli.activations.selection.language import Selector
from torchstat_cli.activations.selection.naming import ModuleTable


class LiveExtractor(nn.Module):
    """Calls ``model`` under observation and returns a plain dict; between calls nothing is attached to the model.

    Nothing after the last requested node runs. Values are differentiable where gradients are enabled.
    """

    def __init__(
        self,
        model: nn.Module,
        train_selectors: Sequence[Selector],
        eval_selectors: Sequence[Selector],
        options: ObserveOptions,
        concrete_args: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.training = model.training
        self._train_selectors, self._eval_selectors = tuple(train_selectors), tuple(eval_selectors)
        self._options = options
        self._concrete_args = dict(concrete_args or {})
        self._report: ObservationReport | None = None
        self._observation: Observation | None = None  # kept only where gradients are still to come
        table = ModuleTable.of(model)
        # Both modes' selections are checked now, not when the mode is first used.
        for selectors in (train_selectors, eval_selectors):
            choose_live_engine(options.engine, selectors, table)

    @property
    def engine(self) -> str:
        """ "hooks" or "runtime", in the current mode."""
        return choose_live_engine(self._options.engine, self._selectors, ModuleTable.of(self.model))

    @property
    def _selectors(self) -> tuple[Selector, ...]:
        return self._train_selectors if self.training else self._eval_selectors

    def forward(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Selected values of one forward pass, in the order of the selections.

        Raises:
            SelectionError: a selected node did not run.
        """
        keep = replace(self._options.keep, audit=self._options.keep.audit and self._report is None)
        # An export traces the whole model: it cannot follow a run that ends in the middle.
        stop = self._options.stop and not torch.compiler.is_exporting()
        options = replace(self._options, keep=keep, stop=stop)
        kwargs = {**self._missing(args, kwargs), **kwargs}
        _, observation = run_observed(self.model, self._selectors, options, args, kwargs)
        self._report = observation.report
        # The values are the caller's now: holding them too would double the memory of the next call.
        self._observation = observation if any(s.part == "grad" for s in self._selectors) else None
        return observation.values

    def _missing(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The fixed arguments that this call does not give itself."""
        if not self._concrete_args:
            return {}
        names = list(inspect.signature(self.model.forward).parameters)[: len(args)]
        return {name: value for name, value in self._concrete_args.items() if name not in (*names, *kwargs)}

    @property
    def report(self) -> ObservationReport | None:
        """What the last call did with the selections; None before the first call.

        What the model overwrites in place is watched during the first call only.
        """
        return self._report

    def gradients(self) -> dict[str, Any]:
        """The ``NAME.grad`` selections of the last call, once a backward pass has produced them."""
        values = {} if self._observation is None else self._observation.values
        parts = {selector.key for selector in self._selectors if selector.part == "grad"}
        return {key: value for key, value in values.items() if key in parts or key.endswith(".grad")}

    def __getstate__(self) -> dict[str, Any]:
        # A past call's tensors and hooks are no part of the extractor.
        return {**self.__dict__, "_observation": None}
