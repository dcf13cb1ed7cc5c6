"""List what can be extracted from a model, by recording a run: names, and the shapes and sizes beside them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from torchstat_cli.activations.attention.finder import AttentionFinder
from torchstat_cli.activations.attention.subset import MapSubset
from torchstat_cli.activations.events import Event, FoundMap
from torchstat_cli.activations.runtime.attaching import attached
from torchstat_cli.activations.runtime.calling import call_model
from torchstat_cli.activations.selection.engines import hooked_paths
from torchstat_cli.activations.selection.language import Part
from torchstat_cli.activations.selection.leaves import TracerOptions
from torchstat_cli.activations.selection.naming import ModuleTable
from torchstat_cli.foreign_text import message_of
from torchstat_cli.torch_access.interrupts import held_back, let_through
from torchstat_cli.torch_access.kept import untouched_parameters
from torchstat_cli.torch_access.modules import modules_of, parameters_of, set_training
from torchstat_cli.torch_access.process import one_guest_at_a_time, untouched_generators
from torchstat_cli.torch_access.restoring import same_buffers, same_modes, untouched
from torchstat_cli.torch_access.trees import tensors_in
from torchstat_cli.torch_access.wrappers import unwrap

ExampleInputs = Tensor | tuple[Any, ...] | list[Any] | Mapping[str, Any] | None
Progress = Callable[[str], None]
NodeKind = Literal["input", "module", "operator", "map"]
"""A map is an attention map, which a fused kernel never shows."""


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """One name that can be extracted."""

    name: str
    kind: NodeKind
    type: str  # class of the module (for a map, of the attention module), name of the operator
    shapes: tuple[tuple[int, ...], ...] | None = None  # of every tensor of the value; None when nothing was run
    dtype: str | None = None  # of the first tensor
    nbytes: int | None = None  # of all tensors


def node_record(name: str, kind: NodeKind, type_name: str, value: Any) -> NodeRecord:
    """The record of a node whose value is known."""
    tensors = [tensor for tensor in tensors_in(value, objects=True) if not tensor.is_nested]
    return NodeRecord(
        name,
        kind,
        type_name,
        shapes=tuple(tuple(tensor.shape) for tensor in tensors),
        dtype=str(tensors[0].dtype).removeprefix("torch.") if tensors else None,
        nbytes=sum(tensor.numel() * tensor.element_size() for tensor in tensors),
    )


class _NodeRecorder:
    """Writes down every node that runs; keeps no value."""

    def __init__(self, table: ModuleTable, leaves: TracerOptions, progress: Progress | None) -> None:
        self.nodes: list[NodeRecord] = []
        self._table = table
        self._leaves = leaves
        self._progress = progress
        self._inside: Event | None = None  # the leaf that is running

    def began(self, turn: int) -> None:
        """One pass is recorded."""

    def repeated(self, path: str, output: Any) -> None:
        """No backward pass takes place."""

    def wants(self, event: Event, part: Part) -> bool:
        """Only outputs are nodes; a leaf is noticed when it starts."""
        if part == "input" and event.module is not None and self._inside is None and self._leaves.is_leaf(event.module):
            self._inside = event
        return False

    def wants_map(self, path: str) -> bool:
        """Every map is a node."""
        return True

    def take_map(self, found: FoundMap) -> None:
        """Write the map down."""
        owner = type(self._table.modules[found.path]).__name__
        self.nodes.append(node_record(f"attn:{found.name}", "map", owner, found.maps))

    def overlooked(self, name: str) -> None:
        """A softmax is an operator, and listed as such."""

    def failed(self, event: Event) -> None:
        """A leaf that raised is no node, and what runs after it is not inside it."""
        if self._inside is event:
            self._inside = None

    def take(self, event: Event, part: Part, value: Any) -> None:
        """Write the node down, unless a leaf is running around it or it is a container."""
        if event.module is not None:
            if self._inside is not event:
                return
            self._inside = None
        kind: NodeKind = "module" if event.module is not None else "operator"
        if event.operator == "placeholder":
            kind = "input"
        type_name = type(event.module).__name__ if event.module is not None else str(event.operator)
        self.nodes.append(node_record(event.name, kind, type_name, value))
        if self._progress is not None:
            self._progress(event.name)


def record_nodes(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    options: TracerOptions,
    progress: Progress | None = None,
) -> tuple[NodeRecord, ...]:
    """The nodes of one run of ``model`` in its present mode, without gradients."""
    table = ModuleTable.of(model)
    recorder = _NodeRecorder(table, options, progress)
    paths = hooked_paths((), table, everything=True)
    finder = AttentionFinder(table, recorder, MapSubset())
    with torch.no_grad(), attached(model, table, recorder, paths, options, operators=True, finder=finder):
        call_model(model, args, kwargs)
    return tuple(recorder.nodes)


@contextmanager
def in_mode(model: nn.Module, training: bool) -> Iterator[None]:
    """Run ``model`` in one mode; whatever the run can reach, and the random generators, are as before afterwards."""
    root = unwrap(model)
    modules = [module for module in modules_of(root) if not isinstance(module, torch.jit.ScriptModule)]
    with (
        one_guest_at_a_time(),
        held_back(),
        untouched_generators(),
        same_modes(root),
        untouched(modules),
        same_buffers(modules_of(root)),
        untouched_parameters(parameters_of(root)),
    ):
        set_training(root, training)
        with let_through():
            yield


def module_nodes(model: nn.Module) -> tuple[NodeRecord, ...]:
    """Every module of the model, in order of registration, known without running it."""
    table = ModuleTable.of(model)
    return tuple(NodeRecord(path, "module", type(module).__name__) for path, module in table.modules.items() if path)


def list_names(
    model: nn.Module,
    engine: Literal["hooks", "runtime"],
    options: TracerOptions,
    example_inputs: ExampleInputs,
) -> tuple[list[str], list[str]]:
    """``(train_names, eval_names)`` without tracing.

    Without inputs only modules can be named; that is said in a warning unless ``engine`` is "hooks".
    """
    if engine == "hooks" or example_inputs is None:
        if engine != "hooks":
            warnings.warn(
                f"{type(unwrap(model)).__name__} cannot be traced, so only its modules are listed; give example_inputs "
                "to list its operators too.",
                UserWarning,
                stacklevel=3,
            )
        names = [node.name for node in module_nodes(model)]
        return names, list(names)
    args, kwargs = split_inputs(example_inputs)
    train_nodes, eval_nodes = record_modes(model, args, kwargs, options)
    # As torchvision's, these are names of what the model itself computes: a fused kernel's map is not.
    return _names(train_nodes), _names(eval_nodes)


def _names(nodes: Iterable[NodeRecord]) -> list[str]:
    return [node.name for node in nodes if node.kind != "map"]


def record_modes(
    model: nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    options: TracerOptions,
    progress: Progress | None = None,
) -> tuple[tuple[NodeRecord, ...], tuple[NodeRecord, ...]]:
    """``(train, eval)`` nodes of one run each; a model that cannot train on these inputs gives its eval nodes twice."""
    with in_mode(model, False):
        eval_nodes = record_nodes(model, args, kwargs, options, progress)
    try:
        with in_mode(model, True):
            train_nodes = record_nodes(model, args, kwargs, options, progress)
    except Exception as error:
        # Detection models want targets, a batch norm more than one value: the user's code may raise anything.
        warnings.warn(
            f"the model does not run in training mode on these inputs ({message_of(error)}); "
            "its eval nodes are listed for both",
            UserWarning,
            stacklevel=3,
        )
        train_nodes = eval_nodes
    return train_nodes, eval_nodes


def split_inputs(example_inputs: ExampleInputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """``(args, kwargs)`` of a tensor, a tuple of positional arguments, a list (one argument) or a dict of keywords."""
    if isinstance(example_inputs, tuple):
        return example_inputs, {}
    if isinstance(example_inputs, Mapping):
        return (), dict(example_inputs)
    return (example_inputs,), {}
