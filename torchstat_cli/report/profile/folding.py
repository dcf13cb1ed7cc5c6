"""Fold equal neighbors: where a module repeats, as the layers of a transformer do, one row holds the sums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torchstat_cli.records import SUMMED, ModuleMemory, ModuleRecord, Profile, Shape, summed_training
from torchstat_cli.report.profile.row_sums import total_duration

LEAST = 5
"""So many equal neighbors fold; fewer are as easily read one by one."""


@dataclass(frozen=True, slots=True)
class Run:
    """Equal neighbors that are shown as one."""

    path: str  # what they are shown as: "model.layers.0–125"
    type: str  # class name
    count: int  # neighbors side by side
    params: int  # of one of them, everything below included
    madds: int
    flops: int


@dataclass(frozen=True, slots=True)
class Folded:
    """A profile with its runs folded; its rows still sum to its totals."""

    profile: Profile
    runs: tuple[Run, ...]  # in the order of execution, outer before inner


def fold(profile: Profile) -> Folded:
    """``profile`` with every run of equal neighbors shown once.

    Neighbors are children of one module that ran one after the other. Equal are those of the same type, parameter
    shapes, params, MAdds, FLOPs, first input and output shape, and of the same structure inside. Paths, times, caches
    and traffic may differ: a folded row carries the sums.
    """
    tree = _Tree(profile)
    shown, runs = tree.placed()
    if not runs:
        return Folded(profile, ())
    unknown = tuple(
        replace(item, paths=tuple(dict.fromkeys(shown.get(path, path) for path in item.paths)))
        for item in profile.unknown
    )
    rows = _merged(profile.rows, shown)
    containers = _merged(profile.containers, shown)
    return Folded(replace(profile, rows=rows, containers=containers, unknown=unknown), tuple(runs))


def _merged(rows: Sequence[ModuleRecord], shown: Mapping[str, str]) -> tuple[ModuleRecord, ...]:
    groups: dict[str, list[ModuleRecord]] = {}
    for row in rows:
        groups.setdefault(shown.get(row.path, row.path), []).append(row)
    return tuple(
        group[0] if len(group) == 1 and group[0].path == path else _sum(path, group, shown)
        for path, group in groups.items()
    )


def _sum(path: str, group: Sequence[ModuleRecord], shown: Mapping[str, str]) -> ModuleRecord:
    """One row for equal modules; what differs among their attributes is left out."""
    first = group[0]
    shared = first.shared_with
    sums: dict[str, Any] = {column: sum(getattr(row, column) for row in group) for column in SUMMED}
    common = {key: value for key, value in first.attrs.items() if all(row.attrs.get(key) == value for row in group)}
    return first._replace(
        path=path,
        modules=sum(row.modules for row in group),
        calls=sum(row.calls for row in group),
        duration_s=total_duration(group),
        shared_with=None if shared is None else shown.get(shared, shared),
        attrs=common,
        live=_live([row.live for row in group if row.live is not None]),
        training=summed_training(group),
        **sums,
    )


def _live(parts: Sequence[ModuleMemory]) -> ModuleMemory | None:
    """Memory of calls one after the other: what lives before the first, the highest peak, all that is kept."""
    if not parts:
        return None
    return ModuleMemory(parts[0].entry, max(part.peak for part in parts), sum(part.kept for part in parts))


@dataclass(slots=True)
class _Node:
    """One module of the tree that the paths spell."""

    path: str
    row: ModuleRecord | None = None  # what it did itself
    known: ModuleRecord | None = None  # what is known of it, also where it did nothing itself
    children: list[_Node] = field(default_factory=list)  # in the order of first execution
    looks: int = 0  # equal for equal modules
    params: int = 0  # these three with everything below
    madds: int = 0
    flops: int = 0

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


class _Tree:
    """The modules of a profile, each with a number that equal ones share."""

    def __init__(self, profile: Profile) -> None:
        self.nodes: dict[str, _Node] = {"": _Node("")}
        self.unknown = {path for unknown in profile.unknown for path in unknown.paths}
        for row in profile.rows:
            node = self._node(row.path)
            node.row = node.known = row
        for row in profile.containers:
            if row.path in self.nodes:
                self.nodes[row.path].known = row
        self._compare()

    def _node(self, path: str) -> _Node:
        """The node of ``path``, made with its ancestors where they are missing."""
        missing = []
        while path not in self.nodes:
            missing.append(path)
            path = path.rpartition(".")[0]
        node = self.nodes[path]
        for path in reversed(missing):
            child = self.nodes[path] = _Node(path)
            node.children.append(child)
            node = child
        return node

    def _compare(self) -> None:
        """Number the nodes from the leaves up."""
        numbers: dict[Any, int] = {}
        for node in sorted(self.nodes.values(), key=lambda node: -node.path.count(".") if node.path else 1):
            look = (self._own_look(node), tuple(child.looks for child in node.children))
            node.looks = numbers.setdefault(look, len(numbers))
            for column in ("params", "madds", "flops"):
                own = getattr(node.row, column) if node.row else 0
                setattr(node, column, own + sum(getattr(child, column) for child in node.children))

    def _own_look(self, node: _Node) -> tuple[Any, ...]:
        known = node.known
        if known is None:
            return ()
        return (
            *(known.type, known.kind, known.calls, known.dtype, known.shared_with is None, known.param_shapes),
            *(known.params, known.trainable_params, known.madds, known.flops),
            *(_first(known.input_shape), _first(known.output_shape), node.path in self.unknown),
        )

    def placed(self) -> tuple[dict[str, str], list[Run]]:
        """Where every module is shown that is shown elsewhere than at its own path, and the runs."""
        shown: dict[str, str] = {}
        runs: list[Run] = []
        pending: list[tuple[list[_Node], str]] = [([self.nodes[""]], "")]  # equal modules, and where they are shown
        while pending:
            nodes, path = pending.pop()
            shown.update((node.path, path) for node in nodes if node.path != path)
            below = []
            for start, stop in _stretches(nodes[0].children):
                siblings = nodes[0].children[start:stop]
                label = siblings[0].name if stop - start == 1 else _label([node.name for node in siblings])
                place = f"{path}.{label}" if path else label
                if stop - start > 1:
                    runs.append(_run(place, siblings))
                below.append(([node for parent in nodes for node in parent.children[start:stop]], place))
            pending.extend(reversed(below))
        return shown, runs


def _first(shapes: tuple[Shape, ...]) -> Shape | None:
    return shapes[0] if shapes else None


def _stretches(children: Sequence[_Node]) -> Iterator[tuple[int, int]]:
    """The positions of ``children`` in stretches: a run of equal ones, or one alone."""
    start = 0
    while start < len(children):
        stop = start + 1
        while stop < len(children) and children[stop].looks == children[start].looks:
            stop += 1
        if stop - start < LEAST:
            stop = start + 1
        yield start, stop
        start = stop


def _run(path: str, siblings: Sequence[_Node]) -> Run:
    one = siblings[0]
    kind = one.known.type if one.known else ""
    return Run(path, kind, len(siblings), one.params, one.madds, one.flops)


def _label(names: Sequence[str]) -> str:
    """Several names as one: ``0–125``, ``block1–6``; ``0…8`` where numbers between the two are missing."""
    stem = names[0].rstrip("0123456789")
    numbers = [name[len(stem) :] for name in names]
    numbered = all(name.startswith(stem) for name in names) and all(
        number.isdecimal() and number.isascii() for number in numbers
    )
    if not numbered:
        return f"{names[0]}…{names[-1]}"
    ordered = sorted(numbers, key=int)
    whole = int(ordered[-1]) - int(ordered[0]) == len(ordered) - 1
    return f"{stem}{ordered[0]}{'–' if whole else '…'}{ordered[-1]}"
