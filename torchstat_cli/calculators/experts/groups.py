"""What may be the experts of a mixture: modules of one kind side by side, or parameters stacked by expert."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from math import inf

from torchstat_cli.records import ModuleFacts, OwnedTensor, Recording

_CONTRACTIONS = frozenset(("aten.linear", "aten.mm", "aten.addmm", "aten.matmul", "aten.bmm", "aten.einsum"))


@dataclass(frozen=True, slots=True)
class Experts:
    """Some experts that a router may choose from."""

    path: str  # of the module that holds them
    count: int
    tensors: tuple[OwnedTensor, ...]  # of these experts alone
    members: tuple[str, ...]  # modules that are one expert each; empty where parameters are stacked
    is_named: bool  # they are called experts, so that they are a mixture also where no router is seen
    are_alike: bool = True  # each holds as much as any other


class ModuleTree:
    """The modules of a run by path, with what lies below each and what ran there."""

    def __init__(self, recording: Recording) -> None:
        self.modules = {module.path: module for module in recording.modules}
        self.events = recording.events
        self._children: dict[str, list[str]] = {}
        for path in self.modules:
            if path:
                self._children.setdefault(parent_of(path), []).append(path)

    def experts(self, sizes: set[int]) -> Iterator[Experts]:
        """Everything that may be experts: as many as one of ``sizes``, or called so; parents before children."""
        for path, module in self.modules.items():
            if "shared" in _last(path):
                continue
            stacked = tuple(self._stacked(module, sizes))
            yield from stacked
            if not stacked:
                yield from self._side_by_side(path, sizes)

    def below(self, path: str) -> Iterator[ModuleFacts]:
        """The module ``path`` and all below it."""
        yield self.modules[path]
        for child in self._children.get(path, ()):
            yield from self.below(child)

    def first_event(self, paths: Sequence[str]) -> float:
        """The position of the first operator that ran in one of ``paths`` or below; infinity where none did."""
        return min((self._first[module.path] for path in paths for module in self.below(path)), default=inf)

    @cached_property
    def _first(self) -> dict[str, float]:
        first = dict.fromkeys(self.modules, inf)
        for position, event in enumerate(self.events):
            first[event.path] = min(first[event.path], position)
        return first

    def _stacked(self, module: ModuleFacts, sizes: set[int]) -> Iterator[Experts]:
        """The parameters of one module whose first axis is the expert's, per number of experts."""
        if "kernel_size" in module.attrs:
            return
        is_named = _is_called_experts(module)
        for count in sorted({tensor.shape[0] for tensor in module.parameters if len(tensor.shape) >= 3}):
            if count >= 2 and (count in sizes or is_named):
                yield Experts(module.path, count, tuple(self._stacked_by(module, count)), (), is_named)
        if is_named and not any(len(tensor.shape) >= 3 for tensor in module.parameters):
            yield from _rows_of_experts(module)

    def _stacked_by(self, module: ModuleFacts, count: int) -> Iterator[OwnedTensor]:
        """Weights, and biases of as many rows as there are experts; but not the weight that makes a router's scores."""
        for tensor in module.parameters:
            if tensor.shape[:1] != (count,) or len(tensor.shape) < 2:
                continue
            if len(tensor.shape) > 2 or not self._makes_scores(module.path, tensor, count):
                yield tensor

    def _makes_scores(self, path: str, weight: OwnedTensor, count: int) -> bool:
        shapes = (weight.shape, weight.shape[::-1])
        return any(
            event.path == path
            and event.op.name in _CONTRACTIONS
            and event.op.output.shape[-1:] == (count,)
            and any(tensor.shape in shapes for tensor in event.op.inputs)
            for event in self.events
        )

    def _side_by_side(self, path: str, sizes: set[int]) -> Iterator[Experts]:
        """The children of one module that are alike, or that their parent calls experts."""
        groups: dict[object, list[str]] = {}
        for child in self._children.get(path, ()):
            if any(tensor.numel for module in self.below(child) for tensor in module.parameters):
                groups.setdefault(self._kind(child), []).append(child)
        called_experts = "xpert" in _last(path).lower() and all(map(_is_numbered, chain(*groups.values())))
        if called_experts and len(groups) > 1:
            members = list(chain(*groups.values()))
            yield Experts(path, len(members), self._tensors(members), tuple(members), True, are_alike=False)
            return
        for members in groups.values():
            is_named = called_experts or all(
                _is_numbered(member) and _is_called_experts(self.modules[member]) for member in members
            )
            if len(members) >= 2 and (len(members) in sizes or is_named):
                yield Experts(path, len(members), self._tensors(members), tuple(members), is_named)

    def _kind(self, path: str) -> object:
        """What two modules share that are alike: their types, and their parameters' shapes."""
        return tuple(
            (module.type, module.path[len(path) :], tuple(tensor.shape for tensor in module.parameters))
            for module in self.below(path)
        )

    def _tensors(self, members: Sequence[str]) -> tuple[OwnedTensor, ...]:
        """The distinct parameters below ``members``, less those that several of them hold."""
        holders: dict[int, set[str]] = {}
        tensors: dict[int, OwnedTensor] = {}
        for member in members:
            for module in self.below(member):
                for tensor in module.parameters:
                    tensors[tensor.key] = tensor
                    holders.setdefault(tensor.key, set()).add(member)
        return tuple(tensor for key, tensor in tensors.items() if len(holders[key]) == 1)


def parent_of(path: str) -> str:
    """The path of the module around ``path``."""
    return path.rpartition(".")[0]


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _is_numbered(path: str) -> bool:
    return path[-1:].isdigit()


def _is_called_experts(module: ModuleFacts) -> bool:
    name = f"{_last(module.path)} {module.type}".lower()
    return "xpert" in name and not any(word in name for word in ("shared", "router", "gate", "gating"))


def _rows_of_experts(module: ModuleFacts) -> Iterator[Experts]:
    """Matrices in which the rows of all experts follow one another, where a setting says how many experts there are."""
    counts = {
        value
        for name, value in module.attrs.items()
        if "experts" in name and isinstance(value, int) and not isinstance(value, bool) and value >= 2
    }
    matrices = tuple(tensor for tensor in module.parameters if len(tensor.shape) == 2)
    if len(counts) == 1 and matrices:
        (count,) = counts
        if all(tensor.shape[0] > count and tensor.shape[0] % count == 0 for tensor in matrices):
            yield Experts(module.path, count, matrices, (), True)


def below(path: str, ancestor: str) -> bool:
    """Whether ``path`` is ``ancestor`` or lies below it."""
    return not ancestor or path == ancestor or path.startswith(f"{ancestor}.")
