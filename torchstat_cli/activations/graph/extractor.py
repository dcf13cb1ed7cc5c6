"""A pruned torch.fx module with one graph for training and one for evaluation, returning a dict."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import fx, nn
from torch.fx.node import map_arg

from torchstat_cli.activations.graph.following import Original
from torchstat_cli.activations.graph.overwriting import is_writer, narrows, overwritten_nodes
from torchstat_cli.activations.graph.pickling import FlatNode, flatten_graph, rebuild_graph
from torchstat_cli.activations.graph.tracing import Trace
from torchstat_cli.activations.outputs import compact_value, copy_tensor, copy_value
from torchstat_cli.activations.runtime.calling import another_device
from torchstat_cli.torch_access.trees import map_tensors

Outputs = Mapping[str, Any]
"""Result key -> graph nodes, in any nesting."""


class GraphExtractor(fx.GraphModule):
    """The part of a model that its requested activations need; parameters are shared with the model.

    ``train()`` and ``eval()`` switch between the two graphs. Calling it returns a plain dict.
    """

    # Read by torch.jit.script.
    __jit_unused_properties__ = [*fx.GraphModule.__jit_unused_properties__, "engine"]  # noqa: RUF012

    def __init__(
        self,
        root: nn.Module,
        train_graph: fx.Graph,
        eval_graph: fx.Graph,
        class_name: str,
        original: Original | None = None,
    ) -> None:
        super().__init__(root, train_graph, class_name)
        # The base class copies the modules of one graph; the other graph's are added.
        _adopt(self, fx.GraphModule(root, eval_graph, class_name))
        self.train_graph = train_graph
        self.eval_graph = eval_graph
        self.training = root.training
        self.graph = train_graph if self.training else eval_graph
        # Where the engine was ours to choose, a model that changes is followed; no part of a copy.
        self._original = original

    @property
    def engine(self) -> str:
        """ "fx"; where the model was changed after tracing, the engine that runs it."""
        original = self.__dict__.get("_original")
        return "fx" if original is None or original.live is None else str(original.live.engine)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """:meth:`forward`, which torch generates; inputs on another device than the parameters are told as such."""
        original = self.__dict__.get("_original")
        if original is not None and original.has_changed():
            return original.run(self.training, args, kwargs)
        try:
            result = super().__call__(*args, **kwargs)
            # Tensors made under inference mode could enter no training step; live runs hand out ordinary ones, too.
            return map_tensors(result, copy_tensor) if torch.is_inference_mode_enabled() else result
        except (RuntimeError, NotImplementedError) as error:
            explained = another_device(self, args, kwargs)
            if explained is None:
                raise
            raise explained from error

    def train(self, mode: bool = True) -> GraphExtractor:
        """Switch graph and submodules to training (True) or evaluation."""
        if mode != self.training:
            self.graph = self.train_graph if mode else self.eval_graph
        super().train(mode)
        return self

    def _parts(self) -> tuple[nn.Module, tuple[FlatNode, ...], tuple[FlatNode, ...], str]:
        """Modules, graphs and class name: everything that a copy needs."""
        holder = nn.Module()
        _adopt(holder, self)
        holder.training = self.training
        return holder, flatten_graph(self.train_graph), flatten_graph(self.eval_graph), type(self).__name__

    def __deepcopy__(self, memo: dict[int, Any]) -> GraphExtractor:
        holder, train_nodes, eval_nodes, name = self._parts()
        return _rebuild(copy.deepcopy(holder, memo), train_nodes, eval_nodes, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, self._parts()


def _rebuild(
    holder: nn.Module, train_nodes: tuple[FlatNode, ...], eval_nodes: tuple[FlatNode, ...], class_name: str
) -> GraphExtractor:
    return GraphExtractor(holder, rebuild_graph(train_nodes), rebuild_graph(eval_nodes), class_name)


def _adopt(target: nn.Module, source: nn.Module) -> None:
    """Give ``target`` what ``source`` has and it lacks: modules, parameters, buffers, at their paths."""
    for name, child in source._modules.items():
        own = getattr(target, name, None)
        if child is None:
            continue
        if own is None:
            target.add_module(name, child)
        elif own is not child:
            _adopt(own, child)
    for name, parameter in source.named_parameters(recurse=False, remove_duplicate=False):
        if not hasattr(target, name):
            target.register_parameter(name, parameter)
    for name, buffer in source.named_buffers(recurse=False, remove_duplicate=False):
        if not hasattr(target, name):
            target.register_buffer(name, buffer, persistent=name not in source._non_persistent_buffers_set)


def rewrite(trace: Trace, outputs: Outputs) -> fx.Graph:
    """``trace``'s graph with ``outputs`` as its result: copied where at risk, and without what they do not need."""
    graph, root = trace.graph, trace.root
    at_risk = overwritten_nodes(graph, root)
    _remove_output(graph)
    copies: dict[fx.Node, fx.Node] = {}

    def safe(node: fx.Node) -> fx.Node:
        function = _copier(node, root, at_risk)
        if function is None:
            return node
        if node not in copies:
            with graph.inserting_after(node):
                copies[node] = graph.call_function(function, (node,))
        return copies[node]

    result = {key: map_arg(value, safe) for key, value in outputs.items()}
    last = _last_node(graph, result)
    _prune(graph, root, last, result)
    graph.output(result)
    return graph


def _copier(node: fx.Node, root: nn.Module, at_risk: set[fx.Node]) -> Any:
    """The function that makes the node's value safe to hand out, None where it is safe as it is."""
    if node.op == "get_attr":
        return torch.clone  # an optimiser's step would change the parameter under the caller's hands
    if node not in at_risk:
        return compact_value if narrows(node) else None
    # Whatever is written directly is a tensor, and torch.clone can be scripted; other values may be tuples.
    written = any(is_writer(user, root) and user.args[:1] == (node,) for user in node.users)
    return torch.clone if written else copy_value


def _remove_output(graph: fx.Graph) -> None:
    for node in reversed(graph.nodes):
        if node.op == "output":
            graph.erase_node(node)


def _last_node(graph: fx.Graph, result: Mapping[str, Any]) -> fx.Node | None:
    wanted: set[fx.Node] = set()
    map_arg(result, lambda node: wanted.add(node))
    return next((node for node in reversed(graph.nodes) if node in wanted), None)


def _prune(graph: fx.Graph, root: nn.Module, last: fx.Node | None, result: Mapping[str, Any]) -> None:
    """Erase what comes after ``last``, and what nobody uses; in-place writers before it stay, they have effects."""
    wanted: set[fx.Node] = set()
    map_arg(result, lambda node: wanted.add(node))
    past = last is not None
    for node in reversed(graph.nodes):
        past = past and node is not last
        idle = not node.users and node not in wanted and node.op != "placeholder"
        if idle and (past or not is_writer(node, root)):
            graph.erase_node(node)
