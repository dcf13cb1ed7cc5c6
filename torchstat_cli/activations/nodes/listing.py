"""What can be extracted from a model, in both modes, with shapes and sizes where inputs are known."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import fx, nn

from torchstat_cli.activations.attention.owners import has_attention
from torchstat_cli.activations.graph.constants import on_meta
from torchstat_cli.activations.graph.tracing import Trace, trace_modes
from torchstat_cli.activations.nodes.recording import (
    NodeRecord,
    Progress,
    in_mode,
    module_nodes,
    node_record,
    record_modes,
    record_nodes,
)
from torchstat_cli.activations.selection.engines import Engine, check_compat, check_engine
from torchstat_cli.activations.selection.leaves import TracerOptions
from torchstat_cli.errors import InputError, ModelError
from torchstat_cli.foreign_text import first_line_of
from torchstat_cli.torch_access.trees import tensors_in
from torchstat_cli.torch_access.wrappers import unwrap

Arguments = tuple[tuple[Any, ...], Mapping[str, Any]]
"""Positional and keyword arguments of one forward call."""


@dataclass(frozen=True, slots=True)
class NodeListing:
    """The nodes of a model in order of execution."""

    engine: Literal["fx", "runtime", "hooks"]  # how they were found
    train: tuple[NodeRecord, ...]
    eval: tuple[NodeRecord, ...]
    notes: tuple[str, ...] = ()  # what could not be found out, and why
    placement: str | None = None  # where the model lay, where that was chosen for it


def list_nodes(
    model: nn.Module,
    inputs: Arguments | None,
    *,
    engine: Engine = "auto",
    torchvision_names: bool = False,
    progress: Progress | None = None,
) -> NodeListing:
    """Every node of ``model``; without ``inputs`` there are no shapes, and untraceable models have modules only.

    Raises:
        ModelError: a forced engine cannot serve the model.
        SelectionError: torchvision's names from an engine that has none.
        Exception: the model's own, where it cannot be run on ``inputs``.
    """
    check_engine(engine)
    if torchvision_names:
        check_compat(engine)
    options = TracerOptions.of()
    if engine in ("auto", "fx"):
        try:
            traces = trace_modes(model, options, torchvision_names=torchvision_names)
            listing = _of_traces(model, traces, inputs, progress)
            if inputs is None or torchvision_names or not _may_attend(model, traces):
                return listing
            return _with_maps(listing, model, inputs, options)
        except ModelError as error:
            if engine == "fx" or torchvision_names:
                raise
            note = error.message
    else:
        note = ""
    notes = (f"{note}; names come from {'a run' if inputs else 'the modules alone'}",) if note else ()
    if engine == "hooks" or inputs is None:
        modules = module_nodes(model)
        return NodeListing("hooks", modules, modules, notes)
    train_nodes, eval_nodes = record_modes(model, *inputs, options, progress)
    return NodeListing("runtime", train_nodes, eval_nodes, notes)


def _of_traces(
    model: nn.Module, traces: tuple[Trace, Trace], inputs: Arguments | None, progress: Progress | None
) -> NodeListing:
    nodes: list[tuple[NodeRecord, ...]] = []
    notes: dict[str, None] = {}
    for trace, training in zip(traces, (True, False), strict=True):
        values: dict[str, NodeRecord] = {}
        if inputs is not None:
            try:
                values = _measured(model, trace, inputs, training, progress)
            except Exception as error:
                # The graph of a model with optional inputs may not run, and the user's code may raise anything.
                hint = f"; {error.hint}" if isinstance(error, InputError) else ""
                notes[f"no shapes in {'train' if training else 'eval'} mode: {first_line_of(error)}{hint}"] = None
        nodes.append(tuple(values.get(name) or _unmeasured(trace, node, name) for node, name in trace.names.items()))
    return NodeListing("fx", nodes[0], nodes[1], tuple(notes))


def _may_attend(model: nn.Module, traces: tuple[Trace, Trace]) -> bool:
    """Whether a run may show attention: modules of that name, or its kernels in a graph."""
    kernels = ("scaled_dot_product_attention", "multi_head_attention_forward")
    called = {getattr(node.target, "__name__", None) for trace in traces for node in trace.graph.nodes}
    return has_attention(unwrap(model)) or not called.isdisjoint(kernels)


def _with_maps(listing: NodeListing, model: nn.Module, inputs: Arguments, options: TracerOptions) -> NodeListing:
    """The listing of a graph with the attention maps of a run, each after the last node of its module."""
    both: list[tuple[NodeRecord, ...]] = []
    notes: dict[str, None] = {}
    for nodes, training in ((listing.train, True), (listing.eval, False)):
        maps: list[NodeRecord] = []
        try:
            with in_mode(model, training):
                maps = [node for node in record_nodes(model, *inputs, options) if node.kind == "map"]
        except Exception as error:
            # The user's code may raise anything.
            notes[f"no attention maps in {'train' if training else 'eval'} mode: {first_line_of(error)}"] = None
        both.append(tuple(_merged(list(nodes), maps)))
    return replace(listing, train=both[0], eval=both[1], notes=(*listing.notes, *notes))


_CALL_OR_PART = re.compile(r"(_[0-9]+)?(\.window|\.sinks)?$")


def _merged(nodes: list[NodeRecord], maps: list[NodeRecord]) -> list[NodeRecord]:
    for node in maps:
        path = _CALL_OR_PART.sub("", node.name.removeprefix("attn:"))
        inside = [place for place, other in enumerate(nodes) if _belongs(other.name, path)]
        nodes.insert(inside[-1] + 1 if inside else len(nodes), node)
    return nodes


def _belongs(name: str, path: str) -> bool:
    return name == path or name.startswith((f"{path}.", f"attn:{path}"))


def _kind(trace: Trace, node: fx.Node) -> tuple[Literal["input", "module", "operator"], str]:
    if node.op == "placeholder":
        return "input", "input"
    if node.op == "call_module":
        return "module", type(trace.root.get_submodule(str(node.target))).__name__
    if node.op == "get_attr":
        return "operator", "parameter"
    return "operator", node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "operator")


def _unmeasured(trace: Trace, node: fx.Node, name: str) -> NodeRecord:
    return NodeRecord(name, *_kind(trace, node))


def _measured(
    model: nn.Module, trace: Trace, inputs: Arguments, training: bool, progress: Progress | None
) -> dict[str, NodeRecord]:
    """Each node's record, by running the graph once."""
    args, kwargs = inputs
    bound = _bound(model, args, kwargs)
    if any(tensor.is_meta for tensor in tensors_in(tuple(bound.arguments.values()))):
        trace = replace(trace, constants=on_meta(trace.graph, trace.constants))
    runner = _Runner(trace, progress)
    with torch.no_grad(), in_mode(model, training):
        runner.run(*bound.arguments.values())
    return runner.records


def _bound(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> inspect.BoundArguments:
    """The arguments of one forward call by name, defaults included.

    Raises:
        InputError: forward takes no such arguments.
    """
    signature = inspect.signature(unwrap(model).forward)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        named = [name for name, parameter in signature.parameters.items() if parameter.kind is parameter.KEYWORD_ONLY]
        unnamed = next(tensors_in(args), None)
        hint = f"its parameters are {', '.join(signature.parameters) or 'none'}"
        if named and unnamed is not None:
            hint = f"name the input: --input {named[0]}={','.join(map(str, unnamed.shape))}"
        raise InputError(f"forward does not take these inputs: {error}", hint) from error
    bound.apply_defaults()
    return bound


class _Runner(fx.Interpreter):
    """Runs a traced graph and writes down the value of each named node."""

    def __init__(self, trace: Trace, progress: Progress | None) -> None:
        super().__init__(fx.GraphModule(trace.holder, trace.graph))
        self._trace = trace
        self._progress = progress
        self.records: dict[str, NodeRecord] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run one node and note its shape before a later one can change it."""
        value = super().run_node(n)
        name = self._trace.names.get(n)
        if name is not None:
            self.records[name] = node_record(name, *_kind(self._trace, n), value)
            if self._progress is not None:
                self._progress(name)
        return value
