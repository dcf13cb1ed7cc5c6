"""Trace a model with torch.fx, and name every node by the module that holds it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_aggregate

from torchstat_cli.activations.graph.certainty import (
    READS_OF_VALUES,
    WatchedProxy,
    outside_state,
    read_outside,
    state_of,
    traced_through,
)
from torchstat_cli.activations.graph.constants import held_attributes, split_off_constants, with_constants
from torchstat_cli.activations.runtime.function_mode import OperatorMode, listening
from torchstat_cli.activations.selection.leaves import TracerOptions, is_library_leaf, with_timm_leaves
from torchstat_cli.activations.selection.naming import ModuleTable, Numbering, TorchvisionNumbering, TrueNumbering
from torchstat_cli.errors import ModelError
from torchstat_cli.foreign_text import first_line_of
from torchstat_cli.torch_access.interrupts import held_back
from torchstat_cli.torch_access.modules import modules_of, set_training
from torchstat_cli.torch_access.process import one_guest_at_a_time, random_states, untouched_generators
from torchstat_cli.torch_access.restoring import same_buffers, same_modes, untouched
from torchstat_cli.torch_access.trees import tensors_in
from torchstat_cli.torch_access.wrappers import clean_path, unwrap

_AUTO, _WITHOUT_COMPAT = "leave the engine to 'auto'", "leave compat out: another engine serves it"
_FX_SUFFIX = re.compile(r"(.+)_[0-9]+")


@dataclass(frozen=True, slots=True)
class ModuleCall:
    """One call of a module in a traced graph."""

    inputs: Any  # (args, kwargs) with graph nodes where tensors will be
    output: Any  # what it returned, the same way
    names: tuple[str, ...] = ()  # of the nodes inside


@dataclass(frozen=True, slots=True)
class Trace:
    """A model's graph in one mode."""

    root: nn.Module
    graph: fx.Graph
    names: Mapping[fx.Node, str]  # in order of execution
    calls: Mapping[tuple[str, int], ModuleCall]  # by path and call number, containers included
    constants: Mapping[str, Any] = field(default_factory=dict)  # by target: tensors that forward made, frozen
    doubts: frozenset[str] = frozenset()  # why the graph may be another program than the model's

    @property
    def node_names(self) -> list[str]:
        """Every name, in order of execution."""
        return list(self.names.values())

    @property
    def holder(self) -> nn.Module:
        """What graph modules of this trace are built from: the model and, where there are any, the constants."""
        return with_constants(self.root, self.constants)


@dataclass
class _Recording:
    numbering: Numbering
    true_names: ModuleTable | None  # None: torchvision's scheme names module calls too
    names: dict[fx.Node, str] = field(default_factory=dict)
    calls: dict[tuple[str, int], ModuleCall] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))


class PathTracer(fx.Tracer):
    """A tracer that remembers, for each node, the module whose forward made it."""

    def __init__(self, options: TracerOptions, recording: _Recording) -> None:
        super().__init__(
            options.autowrap_modules,  # type: ignore[arg-type]  # torch means any number of modules
            options.autowrap_functions,
            options.param_shapes_constant,
        )
        self._options = options
        self._recording = recording
        self._thread = get_ident()
        self._owner = ""  # path of the module whose forward is running
        self._call = 0
        self.doubts: set[str] = set()

    def proxy(self, node: fx.Node) -> fx.Proxy:
        """A placeholder for what ``node`` will give."""
        return super().proxy(node) if self._recording.true_names is None else WatchedProxy(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """The shared leaf rule (:meth:`~.leaves.TracerOptions.is_leaf`)."""
        return self._options.is_leaf(m)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """One node for a leaf; the inside of anything else. Other threads' modules run as ever."""
        if get_ident() != self._thread:
            return forward(*args, **kwargs)
        path = self.path_of_module(m)
        outer = self._owner, self._call
        self._owner, self._call = clean_path(path), self._recording.counts[clean_path(path)]
        self._recording.counts[self._owner] += 1
        key, before = (self._owner, self._call), len(self._recording.names)
        try:
            if self.is_leaf_module(m, path):
                output = self.create_proxy("call_module", path, args, kwargs)
            elif self._recording.true_names is None:
                output = forward(*args, **kwargs)
            else:
                # Past the hooks: the user's would be called with placeholders instead of tensors.
                output = m.forward(*args, **kwargs)
        finally:
            self._owner, self._call = outer
        inside = tuple(self._recording.names.values())[before:]
        self._recording.calls[key] = ModuleCall(self._nodes((args, kwargs)), self._nodes(output), inside)
        return output

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, fx.Proxy]) -> Any:
        """What reading an attribute of a module gives: a placeholder for a parameter, in the thread that traces."""
        if get_ident() != self._thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def _nodes(self, value: Any) -> Any:
        """``value`` with the nodes of its placeholders, and with nodes for tensors that are none."""

        def node(item: Any) -> Any:
            if isinstance(item, fx.Proxy):
                return item.node
            made = self._recording.true_names is not None and isinstance(item, Tensor)
            return self.create_arg(item) if made and not isinstance(item, nn.Parameter) else item

        return map_aggregate(value, node)

    def count_operator(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Take the name that an operator on real tensors has in a run, so that later ones have theirs too."""
        if name in READS_OF_VALUES and not any(isinstance(arg, fx.Proxy) for arg in args):
            self.doubts.add("values that were read from a tensor")
        if not isinstance(result, fx.Proxy) and next(tensors_in((args, kwargs)), None) is not None:
            self._recording.numbering.name(f"{self._owner}.{name}" if self._owner else name)

    def create_proxy(self, kind: str, target: Any, *args: Any, **kwargs: Any) -> fx.Proxy:
        """Name the node by its owner and, unless it is a module call, by what it does."""
        proxy = super().create_proxy(kind, target, *args, **kwargs)
        recording, node = self._recording, proxy.node
        if kind == "call_module" and recording.true_names is not None:
            name = recording.true_names.call_name(self._owner, self._call)
        elif kind == "call_module":
            name = recording.numbering.name(self._owner)
        else:
            operator = str(node) if recording.true_names is None else _without_suffix(str(node))
            name = recording.numbering.name(f"{self._owner}.{operator}" if self._owner else operator)
        recording.names[node] = name
        return proxy


def _without_suffix(name: str) -> str:
    # fx numbers nodes over the whole graph; names here are numbered within their module.
    match = _FX_SUFFIX.fullmatch(name)
    return match[1] if match else name


def trace(
    model: nn.Module,
    options: TracerOptions,
    *,
    torchvision_names: bool = False,
    concrete_args: dict[str, Any] | None = None,
    others: Mapping[str, Any] | None = None,
) -> Trace:
    """Trace ``model`` in the mode it is in; its constants get names beside those of ``others``.

    Raises:
        ModelError: torch.fx cannot trace it; the cause is chained.
    """
    root = unwrap(model)
    table = ModuleTable.of(root)
    numbering = TorchvisionNumbering() if torchvision_names else TrueNumbering(table)
    recording = _Recording(numbering, None if torchvision_names else table)
    tracer = PathTracer(options, recording)
    through = traced_through(root, options)
    outside = read_outside(through)
    try:
        with _borrowed(root):
            before = state_of(through, contents=True) + outside_state(outside), random_states()
            with nullcontext() if torchvision_names else listening(OperatorMode(tracer.count_operator)):
                graph = tracer.trace(root, concrete_args)
            held = held_attributes(graph, root)
            after = state_of(through, contents=True) + outside_state(outside), random_states()
    except Exception as error:
        # The model's own Python runs on placeholders here, so anything at all may be raised.
        raise ModelError(
            f"torch.fx cannot trace {type(root).__name__}: {first_line_of(error)}",
            f"{_WITHOUT_COMPAT if torchvision_names else _AUTO}, or name the untraceable modules in "
            "tracer_kwargs['leaf_modules']",
        ) from error
    for node in graph.nodes:
        # Annotations read as text (from __future__ import annotations) mean nothing where the graph's code is compiled.
        node.type = None if isinstance(node.type, str) else node.type
    calls = dict(recording.calls)
    result = next(node for node in reversed(graph.nodes) if node.op == "output").args[0]
    calls["", 0] = ModuleCall(((), {}), result, tuple(recording.names.values()))
    constants = split_off_constants(graph, root, held, others or {})
    if before[0] != after[0]:
        tracer.doubts.add("attributes that forward changes")
    if before[1] != after[1]:
        tracer.doubts.add("random numbers that Python draws")
    return Trace(root, graph, recording.names, calls, constants, frozenset(tracer.doubts))


@contextmanager
def _borrowed(root: nn.Module) -> Iterator[None]:
    """Restore what a forward pass on placeholders may store on the model, and write to it."""
    modules = [module for module in modules_of(root) if not isinstance(module, torch.jit.ScriptModule)]
    # Library modules are leaves of a trace: their forward does not run, their buffers cannot change.
    # torch.fx puts what it replaced back as it finds it: an interrupt in the middle would leave it.
    with held_back(), untouched(modules), same_buffers(module for module in modules if not is_library_leaf(module)):
        yield


def trace_modes(
    model: nn.Module,
    options: TracerOptions,
    *,
    torchvision_names: bool = False,
    concrete_args: dict[str, Any] | None = None,
) -> tuple[Trace, Trace]:
    """``(train, eval)`` traces; every module's mode is as before afterwards, also on failure.

    timm's own list of untraceable parts is tried where the plain rule fails.

    Raises:
        ModelError: torch.fx cannot trace the model.
    """
    root = unwrap(model)

    def both(chosen: TracerOptions) -> tuple[Trace, Trace]:
        traces: list[Trace] = []
        # Random constants differ between the modes, as in torchvision.
        with untouched_generators():
            for training in (True, False):
                set_training(root, training)
                others = traces[0].constants if traces else None
                traces.append(
                    trace(root, chosen, torchvision_names=torchvision_names, concrete_args=concrete_args, others=others)
                )
        return traces[0], traces[1]

    # torch.fx replaces what every module of the process does when it is called.
    with one_guest_at_a_time(), same_modes(root):
        try:
            return both(options)
        except ModelError:
            wider = with_timm_leaves(options)
            if torchvision_names or wider == options:
                raise
            return both(wider)
