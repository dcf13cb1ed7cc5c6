"""Find what selectors mean in a traced graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchstat_cli.activations.graph.tracing import Trace
from torchstat_cli.activations.selection.language import Selector, unmatched
from torchstat_cli.activations.selection.naming import ModuleTable
from torchstat_cli.errors import SelectionError


def servable(selectors: Sequence[Selector]) -> bool:
    """Whether a graph can answer all of ``selectors``; maps, gradients, indices, passes and stacks need a live run."""
    return all(_is_servable(selector) for selector in selectors)


def _is_servable(selector: Selector) -> bool:
    plain = not selector.indices and selector.turns is None and not selector.stacked
    return plain and selector.kind != "attn" and selector.part != "grad"


def find_outputs(trace: Trace, selectors: Sequence[Selector]) -> dict[str, Any]:
    """Result key -> graph nodes, in the order of the selections.

    Raises:
        SelectionError: a selection that names no node of this graph.
    """
    table = ModuleTable.of(trace.root)
    nodes = {name: node for node, name in trace.names.items()}
    outputs: dict[str, Any] = {}
    for selector in selectors:
        found = _exact(trace, table, nodes, selector) if selector.kind == "exact" else _pattern(trace, table, selector)
        if not found:
            raise _absent(selector, [*nodes, *table.candidates])
        outputs.update(found)
    return outputs


def _absent(selector: Selector, names: Sequence[str]) -> SelectionError:
    hint = unmatched(selector.text, names).hint
    return SelectionError(
        f"node: {selector.text!r} is not present in model. Hint: get_graph_node_names lists what is; a node of one "
        "mode only needs train_return_nodes and eval_return_nodes",
        hint,
    )


def _exact(trace: Trace, table: ModuleTable, nodes: dict[str, Any], selector: Selector) -> dict[str, Any]:
    call = table.call_of(selector.pattern)
    if call in trace.calls:
        record = trace.calls[call]  # type: ignore[index]
        return {selector.key: _given(record.inputs) if selector.part == "input" else record.output}
    if selector.pattern in nodes and selector.part == "output":
        return {selector.key: nodes[selector.pattern]}
    return {}


def _given(inputs: Any) -> Any:
    args, kwargs = inputs
    return args[0] if len(args) == 1 and not kwargs else args or kwargs


def _pattern(trace: Trace, table: ModuleTable, selector: Selector) -> dict[str, Any]:
    """Every match: modules if there are any, else operators, which have no part but their output."""
    suffix = "" if selector.part == "output" else f".{selector.part}"
    found: dict[str, Any] = {}
    for (path, call), record in trace.calls.items():
        name = table.call_name(path, call)
        if selector.kind == "type":
            matched = selector.matches_type(type(table.modules[path]))
        else:
            matched = selector.kind in ("glob", "re") and selector.matches(name)
        if matched:
            found[name + suffix] = _given(record.inputs) if suffix else record.output
    if found or selector.kind == "type" or suffix:
        return found
    operators = {name: node for node, name in trace.names.items() if node.op != "call_module"}
    for name, node in operators.items():
        word = name.rpartition(".")[2]
        base = word if selector.kind != "op" else _operator(word)
        if selector.matches(base if selector.kind == "op" else name):
            found[name] = node
    return found


def _operator(word: str) -> str:
    stem, _, number = word.rpartition("_")
    return stem if stem and number.isdigit() else word
