"""`observe(model, selections)`: keep what is selected out of every forward pass inside a `with` block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from torchstat_cli.activations.attention.finder import AttentionFinder
from torchstat_cli.activations.attention.subset import MapSubset
from torchstat_cli.activations.events import Stop
from torchstat_cli.activations.runtime.attaching import attached
from torchstat_cli.activations.runtime.calling import call_model
from torchstat_cli.activations.runtime.collector import Collector
from torchstat_cli.activations.runtime.keeper import Keeper, KeepOptions
from torchstat_cli.activations.selection.engines import Engine, choose_live_engine, hooked_paths
from torchstat_cli.activations.selection.language import Selector, parse_all
from torchstat_cli.activations.selection.leaves import TracerOptions
from torchstat_cli.activations.selection.naming import ModuleTable


@dataclass(frozen=True, slots=True)
class ObserveOptions:
    """How a run is observed."""

    engine: Engine = "auto"  # "hooks" sees modules, "runtime" operators and attention too
    keep: KeepOptions = field(default_factory=KeepOptions)
    stop: bool = False  # end the run after the last value asked for
    subset: MapSubset = field(default_factory=MapSubset)  # of attention maps
    leaves: TracerOptions = field(default_factory=TracerOptions.of)


@dataclass(frozen=True, slots=True)
class ObservationReport:
    """What a run did with the selections."""

    engine: str  # "hooks", "runtime" or "fx"
    fired: Mapping[str, int]  # selected node -> calls, over all forward passes
    never_fired: tuple[str, ...]  # selections that received nothing
    aliases: Mapping[str, str]  # further names of shared modules -> the name used
    same_as: Mapping[str, str]  # node -> earlier node whose very tensor it returned
    overwritten: tuple[str, ...]  # nodes whose live tensor the model later changed in place; the kept copies are right
    stopped_after: str | None  # the node after which the run was ended, None if it ran through
    passes: int = 1  # forward passes that were observed


class Observation:
    """The values kept so far; filled while the block of :func:`observe` runs."""

    def __init__(self, model: nn.Module, selectors: Sequence[Selector], options: ObserveOptions) -> None:
        self._model = model
        self._options = options
        self._table = ModuleTable.of(model)
        self._keeper = Keeper(options.keep)
        self.engine = choose_live_engine(options.engine, selectors, self._table)
        self._collector = Collector(selectors, self._table, self._keeper, stop=options.stop)
        self._elsewhere = False  # whether the model was also called where nobody listened

    @contextmanager
    def _attached(self) -> Iterator[None]:
        operators = self.engine == "runtime"
        paths = hooked_paths(self._collector.selectors, self._table, everything=operators)
        finder = None
        if self._collector.wants_maps:
            finder = AttentionFinder(self._table, self._collector, self._options.subset)
        leaves = self._options.leaves
        try:
            with attached(
                self._model, self._table, self._collector, paths, leaves, operators=operators, finder=finder
            ) as hooks:
                try:
                    yield
                finally:
                    self._elsewhere = hooks.elsewhere
                    self._collector.end()
        except Stop as stop:
            if stop.owner is not self._collector:
                raise

    @property
    def values(self) -> dict[str, Any]:
        """Key to value, in the order of the selections; gradients appear once a backward pass has produced them."""
        return self._collector.values()

    @property
    def masks(self) -> Mapping[str, Tensor]:
        """Node to (batch, longest) mask, for nested tensors that were padded; True marks a real position."""
        return self._keeper.masks

    def __getitem__(self, key: str) -> Any:
        return self.values[key]

    def check(self) -> None:
        """Raise for selections that received nothing.

        Raises:
            SelectionError: with the closest names that did fire.
        """
        self._collector.check(elsewhere=self._elsewhere)

    @property
    def report(self) -> ObservationReport:
        """What fired how often, what is shared, what the model overwrote."""
        return ObservationReport(
            engine=self.engine,
            fired=dict(self._collector.fired),
            never_fired=tuple(selector.text for selector in self._collector.never_fired()),
            aliases=self._table.aliases,
            same_as=self._keeper.same_as,
            overwritten=tuple(self._keeper.overwritten),
            stopped_after=self._collector.stopped_after,
            passes=self._collector.passes,
        )


@contextmanager
def observe(
    model: nn.Module,
    selections: str | Sequence[str] | Mapping[str, str],
    options: ObserveOptions | None = None,
    *,
    strict: bool = True,
) -> Iterator[Observation]:
    """Keep the selected activations of every forward pass inside the block; afterwards the model is as before.

    ::

        with observe(model, ["layer1", "type:Conv2d", "attn"]) as observation:
            model(x)
        observation["layer1"]

    Args:
        model: any module; DDP and compiled wrappers are seen through.
        selections: see :mod:`~torchstat_cli.activations.selection.language`; a dict renames.
        options: engine, copies, early stop, attention subset.
        strict: raise at the end for selections that never fired.

    Raises:
        SelectionError: a selection that names nothing, at once where that can be known, else at the end of the block.
        ModelError: TorchScript or FSDP.
    """
    options = options or ObserveOptions()
    table = ModuleTable.of(model)
    observation = Observation(model, parse_all(selections, table), options)
    with observation._attached():
        yield observation
    if strict:
        observation.check()


def run_observed(
    model: nn.Module, selectors: Sequence[Selector], options: ObserveOptions, args: Any, kwargs: Mapping[str, Any]
) -> tuple[Any, Observation]:
    """One forward pass of ``model``: its output (None if it was stopped early) and what was kept.

    Raises:
        SelectionError: a selection never fired.
    """
    observation = Observation(model, selectors, options)
    output = None
    with observation._attached():
        output = call_model(model, tuple(args), kwargs)
    observation.check()
    return output, observation
