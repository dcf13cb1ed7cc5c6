"""torchvision's two functions, for every model: `get_graph_node_names` and `create_feature_extractor`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from torch import nn

from torchstat_cli.activations.graph.certainty import is_plain, traced_through
from torchstat_cli.activations.graph.constants import with_constants
from torchstat_cli.activations.graph.extractor import GraphExtractor, rewrite
from torchstat_cli.activations.graph.following import Original
from torchstat_cli.activations.graph.selection import find_outputs, servable
from torchstat_cli.activations.graph.torchvision_compat import (
    find_torchvision_outputs,
    strip_graph,
    warn_of_mode_differences,
)
from torchstat_cli.activations.graph.tracing import Trace, trace_modes
from torchstat_cli.activations.nodes.recording import ExampleInputs, list_names
from torchstat_cli.activations.runtime.extractor import LiveExtractor
from torchstat_cli.activations.runtime.keeper import KeepOptions
from torchstat_cli.activations.runtime.observation import ObserveOptions
from torchstat_cli.activations.selection.engines import Engine, check_compat, check_engine
from torchstat_cli.activations.selection.language import Selector, parse_all
from torchstat_cli.activations.selection.leaves import TracerOptions
from torchstat_cli.activations.selection.naming import ModuleTable
from torchstat_cli.errors import ModelError, SelectionError
from torchstat_cli.torch_access.wrappers import unwrap

Compat = Literal["torchvision"] | None
Nodes = Sequence[str] | Mapping[str, str] | None


def get_graph_node_names(
    model: nn.Module,
    tracer_kwargs: dict[str, Any] | None = None,
    suppress_diff_warning: bool = False,
    concrete_args: dict[str, Any] | None = None,
    *,
    compat: Compat = None,
    engine: Engine = "auto",
    example_inputs: ExampleInputs = None,
) -> tuple[list[str], list[str]]:
    """``(train_names, eval_names)``: the nodes that can be extracted, in order of execution.

    Args:
        model: any module.
        tracer_kwargs: torch.fx's tracer arguments plus ``leaf_modules``, as torchvision takes them; never modified.
        suppress_diff_warning: do not warn where the two modes differ.
        concrete_args: arguments of ``forward`` that are fixed to a value while tracing.
        compat: "torchvision" reproduces its names, which may point at other modules than they say.
        engine: "auto" traces with torch.fx and falls back to recording a run; or force "fx", "runtime", "hooks".
        example_inputs: a tensor, a tuple (positional) or a dict (keywords) for recording a run. Without them a model
            that cannot be traced gives its module names only, with a warning.

    Raises:
        ModelError: ``engine="fx"`` or ``compat`` on a model that torch.fx cannot trace.
    """
    _check_words(compat, engine)
    _check_concrete(model, concrete_args)
    options = TracerOptions.of(tracer_kwargs)
    if compat == "torchvision" or engine in ("auto", "fx"):
        try:
            traces = trace_modes(model, options, torchvision_names=compat == "torchvision", concrete_args=concrete_args)
            names = traces[0].node_names, traces[1].node_names
        except ModelError:
            if engine == "fx" or compat == "torchvision":
                raise
            names = list_names(model, "runtime", options, example_inputs)
    else:
        names = list_names(model, "runtime" if engine == "runtime" else "hooks", options, example_inputs)
    if not suppress_diff_warning:
        warn_of_mode_differences(*names)
    return names


def create_feature_extractor(
    model: nn.Module,
    return_nodes: Nodes = None,
    train_return_nodes: Nodes = None,
    eval_return_nodes: Nodes = None,
    tracer_kwargs: dict[str, Any] | None = None,
    suppress_diff_warning: bool = False,
    concrete_args: dict[str, Any] | None = None,
    *,
    compat: Compat = None,
    engine: Engine = "auto",
) -> GraphExtractor | LiveExtractor:
    """A module that returns a dict of ``model``'s inner values instead of its output.

    Where torch.fx can trace the model faithfully, the result is a pruned graph module (parameters shared, unused ones
    dropped); elsewhere it runs the model itself and stops after the last requested node. ``.engine`` tells which.

    Args:
        model: any module.
        return_nodes: selections (see :mod:`~torchstat_cli.activations.selection.language`),
            or a dict from selection to key.
        train_return_nodes, eval_return_nodes: the same per mode; give both or neither.
        tracer_kwargs, suppress_diff_warning, concrete_args, compat, engine: as in :func:`get_graph_node_names`.

    Raises:
        SelectionError: a ``ValueError``: a name that is absent, nothing selected, or only one of the two modes given.
        ModelError: the model cannot be traced and the engine is forced, or it hides its insides (TorchScript, FSDP).
    """
    _check_words(compat, engine)
    _check_concrete(model, concrete_args)
    nodes = _per_mode(return_nodes, train_return_nodes, eval_return_nodes)
    request = _Request(model, TracerOptions.of(tracer_kwargs), concrete_args, suppress_diff_warning, engine)
    if compat == "torchvision":
        queries = [_as_dict(selection) for selection in nodes]
        return request.torchvision_graph(*queries)
    table = ModuleTable.of(model)
    selectors = tuple(parse_all(selection, table) for selection in nodes)
    if engine == "fx" or (engine == "auto" and request.graph_is_certain() and all(map(servable, selectors))):
        return request.graph(selectors[0], selectors[1])
    return request.live(selectors[0], selectors[1])


@dataclass(frozen=True, slots=True)
class _Request:
    """What every way of building an extractor needs."""

    model: nn.Module
    options: TracerOptions
    concrete_args: dict[str, Any] | None
    suppress_diff_warning: bool
    engine: Engine

    def graph_is_certain(self) -> bool:
        """Whether a traced graph is sure to be the model's own program.

        Tracing an argument that may be None freezes the branch in which it was given; what else shows in the model
        itself, :func:`~.certainty.is_plain` looks for. What its Python does, only a trace can tell.
        """
        root = unwrap(self.model)
        parameters = inspect.signature(root.forward).parameters.values()
        fixed = self.concrete_args or {}
        if any(parameter.default is None and parameter.name not in fixed for parameter in parameters):
            return False
        return is_plain(traced_through(root, self.options))

    def torchvision_graph(self, train_queries: dict[str, str], eval_queries: dict[str, str]) -> GraphExtractor:
        """torchvision's extractor."""
        traces = self._traces(torchvision_names=True)
        pairs = zip(traces, (train_queries, eval_queries), strict=True)
        graphs = [strip_graph(trace, find_torchvision_outputs(trace, queries)) for trace, queries in pairs]
        return self._extractor(traces, graphs[0], graphs[1])

    def graph(
        self, train_selectors: tuple[Selector, ...], eval_selectors: tuple[Selector, ...]
    ) -> GraphExtractor | LiveExtractor:
        """The pruned graph; the live extractor where it cannot be had and was not forced."""
        if not all(map(servable, (train_selectors, eval_selectors))):
            raise SelectionError(
                "a graph has no attention maps, gradients, indices, passes or stacks",
                "use the engine 'auto' or 'runtime'",
            )
        try:
            traces = self._traces(torchvision_names=False)
        except ModelError:
            if self.engine == "fx":
                raise
            return self.live(train_selectors, eval_selectors)
        if self.engine != "fx" and any(trace.constants or trace.doubts for trace in traces):
            # The model makes its constants anew at every call, perhaps out of buffers that change.
            return self.live(train_selectors, eval_selectors)
        try:
            pairs = zip(traces, (train_selectors, eval_selectors), strict=True)
            outputs = [find_outputs(trace, selectors) for trace, selectors in pairs]
        except SelectionError:
            # A module inside a leaf is no node of the graph, yet runs.
            if self.engine == "fx" or not self._only_modules((*train_selectors, *eval_selectors)):
                raise
            return self.live(train_selectors, eval_selectors)
        graphs = [rewrite(trace, wanted) for trace, wanted in zip(traces, outputs, strict=True)]
        original = None
        if self.engine != "fx":
            make = partial(_live, self.live_options, self.concrete_args, train_selectors, eval_selectors)
            original = Original(traces[0].root, self.options, make)
        return self._extractor(traces, graphs[0], graphs[1], original)

    def _only_modules(self, selectors: tuple[Selector, ...]) -> bool:
        table = ModuleTable.of(self.model)
        return all(s.is_pattern or table.call_of(s.pattern) is not None for s in selectors)

    def _traces(self, *, torchvision_names: bool) -> tuple[Trace, Trace]:
        traces = trace_modes(
            self.model, self.options, torchvision_names=torchvision_names, concrete_args=self.concrete_args
        )
        if not self.suppress_diff_warning:
            warn_of_mode_differences(traces[0].node_names, traces[1].node_names)
        return traces

    def _extractor(
        self, traces: tuple[Trace, Trace], train_graph: Any, eval_graph: Any, original: Original | None = None
    ) -> GraphExtractor:
        root = traces[0].root
        holder = with_constants(root, {**traces[0].constants, **traces[1].constants})
        return GraphExtractor(holder, train_graph, eval_graph, type(root).__name__, original)

    def live(self, train_selectors: tuple[Selector, ...], eval_selectors: tuple[Selector, ...]) -> LiveExtractor:
        """The extractor that runs the model itself."""
        return _live(self.live_options, self.concrete_args, train_selectors, eval_selectors, self.model)

    @property
    def live_options(self) -> ObserveOptions:
        """How a live run is observed."""
        return ObserveOptions(
            engine=self.engine, keep=KeepOptions(detach=False), stop=True, leaves=self.options.without_wrapping()
        )


def _live(
    options: ObserveOptions,
    concrete_args: dict[str, Any] | None,
    train_selectors: tuple[Selector, ...],
    eval_selectors: tuple[Selector, ...],
    model: nn.Module,
) -> LiveExtractor:
    return LiveExtractor(model, train_selectors, eval_selectors, options, concrete_args)


def _check_words(compat: Compat, engine: Engine) -> None:
    check_engine(engine)
    if compat not in (None, "torchvision"):
        raise SelectionError(f"there is no compat mode {compat!r}", "leave it out, or write compat='torchvision'")
    if compat:
        check_compat(engine)


def _check_concrete(model: nn.Module, concrete_args: dict[str, Any] | None) -> None:
    if concrete_args is None:
        return
    parameters = inspect.signature(unwrap(model).forward).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        for name in concrete_args:
            if name not in parameters:
                raise TypeError(f"concrete_args: forward has no argument {name!r}; it has {', '.join(parameters)}")


def _per_mode(nodes: Nodes, train_nodes: Nodes, eval_nodes: Nodes) -> tuple[Any, Any]:
    if nodes is None and train_nodes is None and eval_nodes is None:
        raise SelectionError(
            "nothing is selected: neither return_nodes nor train_return_nodes and eval_return_nodes are given",
            "give return_nodes, a list of names",
        )
    if (train_nodes is None) != (eval_nodes is None):
        raise SelectionError(
            "only one of train_return_nodes and eval_return_nodes is given", "give both, or return_nodes"
        )
    if nodes is not None and train_nodes is not None:
        raise SelectionError(
            "return_nodes and train_return_nodes/eval_return_nodes exclude each other", "give the one or the others"
        )
    return (nodes, nodes) if nodes is not None else (train_nodes, eval_nodes)


def _as_dict(nodes: Any) -> dict[str, str]:
    if isinstance(nodes, str):
        nodes = [nodes]
    if isinstance(nodes, Mapping):
        return {str(query): str(key) for query, key in nodes.items()}
    return {str(query): str(query) for query in nodes}
