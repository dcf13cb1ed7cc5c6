"""Turn a torch.fx graph into a flat list and back, to pickle it: its linked nodes would exhaust the recursion limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import fx
from torch.fx.node import map_aggregate


@dataclass(frozen=True, slots=True)
class NodePlace:
    """Stands for a node among another node's arguments."""

    index: int  # of the node in its graph


@dataclass(frozen=True, slots=True)
class FlatNode:
    """One node of a graph, linked to others by their places."""

    op: str
    type_name: Any  # annotation, which scripting reads
    name: str
    target: Any
    args: Any  # nodes replaced by their places
    kwargs: Any


def flatten_graph(graph: fx.Graph) -> tuple[FlatNode, ...]:
    """The nodes of ``graph``, in order."""
    places = {node: NodePlace(index) for index, node in enumerate(graph.nodes)}

    def place(item: Any) -> Any:
        return places[item] if isinstance(item, fx.Node) else item

    def flat(value: Any) -> Any:
        return map_aggregate(value, place)

    return tuple(FlatNode(n.op, n.type, n.name, n.target, flat(n.args), flat(n.kwargs)) for n in graph.nodes)


def rebuild_graph(flat: tuple[FlatNode, ...]) -> fx.Graph:
    """The graph that :func:`flatten_graph` flattened."""
    graph = fx.Graph()
    nodes: list[fx.Node] = []

    def linked(value: Any) -> Any:
        return map_aggregate(value, lambda item: nodes[item.index] if isinstance(item, NodePlace) else item)

    for entry in flat:
        args, kwargs = linked(entry.args), linked(entry.kwargs)
        nodes.append(graph.create_node(entry.op, entry.target, args, kwargs, entry.name, entry.type_name))
    return graph
