"""Find the nodes of a graph whose value a later in-place operation may overwrite."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

from torch import fx, nn

from torchstat_cli.activations.selection.leaves import is_library_leaf
from torchstat_cli.torch_access.internals import DropoutBase

_WRITERS = frozenset(
    {
        operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ifloordiv, operator.imod,
        operator.ipow, operator.iand, operator.ior, operator.ixor, operator.imatmul, operator.setitem,
    }
)  # fmt: skip
_VIEWS = frozenset(
    [
        "getitem",
        "getattr",
        "view",
        "reshape",
        "permute",
        "transpose",
        "flatten",
        "unflatten",
        "squeeze",
        "unsqueeze",
        "expand",
        "expand_as",
        "contiguous",
        "to",
        "detach",
        "chunk",
        "split",
        "tensor_split",
        "unbind",
        "select",
        "narrow",
        "movedim",
        "swapaxes",
        "swapdims",
        "t",
        "unfold",
        "diagonal",
        "view_as",
        "real",
        "imag",
        "type",
        "float",
        "half",
        "bfloat16",
        "double",
        "dropout",
        "alpha_dropout",
        "feature_dropout",
        "dropout1d",
        "dropout2d",
        "dropout3d",
        "broadcast_to",
        "atleast_1d",
        "ravel",
        "hsplit",
        "vsplit",
        "requires_grad_",
        "type_as",
        "reshape_as",
        "moveaxis",
        "einsum",
        "relu6",
    ]
)
_PASSING = (nn.Identity, nn.Flatten, nn.Unflatten, DropoutBase)


def _name(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")


def _module(node: fx.Node, root: nn.Module) -> nn.Module:
    return root.get_submodule(str(node.target))


def is_writer(node: fx.Node, root: nn.Module) -> bool:
    """Whether the node changes its first argument in place."""
    if node.op == "call_module":
        return bool(getattr(_module(node, root), "inplace", False))
    if node.op not in ("call_function", "call_method"):
        return False
    name = _name(node)
    in_place_name = name.endswith("_") and not name.endswith("__") and name not in ("and_", "or_", "not_", "is_")
    return node.target in _WRITERS or in_place_name or node.kwargs.get("inplace") is True or "out" in node.kwargs


def _may_alias(node: fx.Node, root: nn.Module) -> bool:
    """Whether the node's value may share memory with an argument; unknown modules and functions may."""
    if is_writer(node, root):
        return True
    if node.op == "call_module":
        module = _module(node, root)
        return isinstance(module, _PASSING) or not is_library_leaf(module)
    if node.op == "call_method":
        return _name(node) in _VIEWS
    if node.op == "call_function":
        known = getattr(node.target, "__module__", None) or ""
        ours = known.startswith(("torch", "_operator", "math")) or known == ""
        return _name(node) in _VIEWS or not ours
    return False


def overwritten_nodes(graph: fx.Graph, root: nn.Module) -> set[fx.Node]:
    """Nodes whose memory some later node may write; conservative, so a node outside the set is safe without a copy."""
    group: dict[fx.Node, int] = {}  # nodes that may share memory bear one number
    members: dict[int, list[fx.Node]] = {}
    written: set[fx.Node] = set()
    for place, node in enumerate(graph.nodes):
        arguments = [argument for argument in node.all_input_nodes if argument in group]
        if is_writer(node, root):
            target = node.kwargs.get("out", node.args[0] if node.args else next(iter(node.kwargs.values()), None))
            for touched in _nodes_in(target):
                written.update(members[group[touched]])
        number = place
        members[number] = [node]
        group[node] = number
        if _may_alias(node, root):
            for other in {group[argument] for argument in arguments}:
                for member in members.pop(other):
                    group[member] = number
                    members[number].append(member)
    return written


def _nodes_in(value: Any) -> Iterable[fx.Node]:
    if isinstance(value, fx.Node):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _nodes_in(item)


def narrows(node: fx.Node) -> bool:
    """Whether the node shows part of a larger tensor, and so would keep all of it alive."""
    return node.op in ("call_function", "call_method") and _name(node) in (
        "getitem", "chunk", "split", "tensor_split", "unbind", "select", "narrow", "hsplit", "vsplit", "diagonal",
    )  # fmt: skip
