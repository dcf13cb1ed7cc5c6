"""Tensors that a model's own Python made while it was traced: the graph holds them as they were at that moment."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from operator import getitem
from typing import Any

from torch import Tensor, fx, nn

_ABSENT = object()


def held_attributes(graph: fx.Graph, root: nn.Module) -> dict[str, Any]:
    """What the graph reads from ``root``, by target, as long as ``root`` bears what tracing left on it."""
    return {str(node.target): _attribute(root, str(node.target)) for node in graph.nodes if node.op == "get_attr"}


def split_off_constants(
    graph: fx.Graph, root: nn.Module, held: Mapping[str, Any], others: Mapping[str, Any]
) -> dict[str, Any]:
    """The values in ``held`` that ``root`` lost again, by the new targets that ``graph`` then reads them from.

    torch.fx stores a tensor that it meets as an attribute of the root. Buffers count too that a forward registered or
    replaced. A new target is no attribute of ``root``; one of ``others`` only where it means the same tensor.
    """
    targets: dict[str, str] = {}
    constants: dict[str, Any] = {}
    known = {id(value): name for name, value in others.items()}
    names = (f"_tensor_constant{number}" for number in count())
    for target, value in held.items():
        if _attribute(root, target) is not value:
            name = known.get(id(value))
            targets[target] = name or next(n for n in names if n not in others and not hasattr(root, n))
            constants[targets[target]] = value
    for node in graph.nodes:
        if node.op == "get_attr":
            node.target = targets.get(node.target, node.target)
    return constants


def with_constants(root: nn.Module, constants: Mapping[str, Any]) -> nn.Module:
    """A module to build graph modules from: ``root``, or a stand-in for it that also bears ``constants``."""
    if not constants:
        return root
    stand_in = nn.Module()
    vars(stand_in).update({**vars(root), **constants})
    return stand_in


def on_meta(graph: fx.Graph, constants: Mapping[str, Any]) -> dict[str, Any]:
    """The same on the meta device, for a run of ``graph`` there; what is only ever an index keeps its values."""
    operands = {
        node.target
        for node in graph.nodes
        if node.op == "get_attr" and any(user.target is not getitem or user.args[0] is node for user in node.users)
    }
    return {
        name: value.to("meta") if isinstance(value, Tensor) and name in operands else value
        for name, value in constants.items()
    }


def _attribute(root: nn.Module, target: str) -> Any:
    value: Any = root
    for name in target.split("."):
        value = getattr(value, name, _ABSENT)
    return value
