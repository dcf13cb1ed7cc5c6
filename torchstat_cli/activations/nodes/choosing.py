"""Which nodes of a listing a selection means."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torchstat_cli.activations.nodes.recording import NodeRecord
from torchstat_cli.activations.selection.language import Selector, parse


def selected(nodes: Sequence[NodeRecord], pattern: str | None) -> list[NodeRecord]:
    """The nodes that ``pattern`` selects, in order; all of them for None.

    Raises:
        SelectionError: the pattern is no selection.
    """
    if pattern is None:
        return list(nodes)
    selector = parse(pattern, {node.name for node in nodes})
    return [node for node in nodes if fnmatchcase(node.name, pattern) or _means(selector, node)]


def _means(selector: Selector, node: NodeRecord) -> bool:
    # Of classes above a module's own a listing knows nothing.
    if selector.kind == "type":
        return node.kind == "module" and selector.matches(node.type)
    if selector.kind == "op":
        return node.kind == "operator" and selector.matches(node.type)
    if selector.kind == "attn":
        return node.kind == "map" and selector.matches(node.name.removeprefix("attn:"))
    return node.kind != "map" and selector.matches(node.name)
