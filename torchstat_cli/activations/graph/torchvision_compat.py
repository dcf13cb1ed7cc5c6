"""torchvision's own answers, warts included: which node a query means there, and a warning where that misleads."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from torch import fx

from torchstat_cli.activations.graph.tracing import Trace
from torchstat_cli.activations.selection.language import unmatched
from torchstat_cli.activations.selection.naming import ModuleTable
from torchstat_cli.errors import SelectionError


def find_torchvision_outputs(trace: Trace, queries: Mapping[str, str]) -> dict[str, Any]:
    """Result key -> node, in order of execution, as torchvision matches them.

    A query means the last node whose name starts with it, component by component; each node serves one query, the
    first that wants it.

    Raises:
        SelectionError: no name starts with a query.
    """
    for query in queries:
        if not any(_starts(name, query) for name in trace.names.values()):
            raise SelectionError(
                f"node: {query!r} is not present in model. Hint: use `get_graph_node_names` to make sure the "
                "`return_nodes` you specified are present. It may even be that you need to specify "
                "`train_return_nodes` and `eval_return_nodes` separately.",
                unmatched(query, trace.names.values()).hint,
            )
    waiting = dict(queries)
    found: dict[str, fx.Node] = {}
    for node, name in reversed(list(trace.names.items())):
        first = next((query for query in waiting if _starts(name, query)), None)
        if first is not None:
            found[waiting.pop(first)] = node
            _warn_if_misleading(trace, first, node)
    return dict(reversed(list(found.items())))


def _starts(name: str, query: str) -> bool:
    return name == query or name.startswith(f"{query}.")


def _warn_if_misleading(trace: Trace, query: str, node: fx.Node) -> None:
    """Warn where ``query`` is a module's own path and ``node`` is not what that module returned."""
    table = ModuleTable.of(trace.root)
    if query not in table:
        return
    path = table.first_path(query)
    outputs = [call.output for (called, _), call in trace.calls.items() if called == path]
    if node not in outputs:
        target = f"module {node.target!r}" if node.op == "call_module" else f"operator {node.name!r}"
        warnings.warn(
            f"torchvision's name {query!r} denotes another module here: the value is that of {target}. "
            "Without compat='torchvision' the name means the module that bears it.",
            UserWarning,
            stacklevel=4,
        )


def strip_graph(trace: Trace, outputs: Mapping[str, Any]) -> fx.Graph:
    """``trace``'s graph with ``outputs`` as its result, unused nodes removed as torch.fx removes them."""
    graph = trace.graph
    for node in reversed(graph.nodes):
        if node.op == "output":
            graph.erase_node(node)
    graph.output(dict(outputs))
    # Only a graph with an owner knows which of its modules have side effects.
    owner = fx.GraphModule(trace.holder, graph)
    owner.graph.eliminate_dead_code()
    return owner.graph


ADVICE = (
    "When choosing nodes for feature extraction, you may need to specify output nodes for train and eval mode "
    "separately."
)


def warn_of_mode_differences(train_names: list[str], eval_names: list[str]) -> None:
    """Warn, once, where the two modes run different nodes."""
    if train_names == eval_names:
        return
    note = "NOTE: The nodes obtained by tracing the model in {} mode are a subsequence of those obtained in {} mode. "
    if _is_subsequence(eval_names, train_names):
        message = note.format("eval", "train")
    elif _is_subsequence(train_names, eval_names):
        message = note.format("train", "eval")
    else:
        message = "The nodes obtained by tracing the model in train mode are different to those obtained in eval mode. "
    warnings.warn(message + ADVICE, UserWarning, stacklevel=4)


def _is_subsequence(short: list[str], long: list[str]) -> bool:
    remaining = iter(long)
    return all(name in remaining for name in short)
