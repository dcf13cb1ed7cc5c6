"""The rows of a profile as the tree that their paths spell, each container with the sums of all below it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torchstat_cli.records import SUMMED, ModuleRecord, Profile, summed_training
from torchstat_cli.report.profile.row_sums import total_duration


@dataclass(frozen=True, slots=True)
class Branch:
    """One line of the tree, read from top to bottom."""

    row: ModuleRecord  # of a container: kind "subtree", with the sums of everything below
    depth: int  # 0 is the root
    is_bounded: bool  # an operator without a formula ran here

    @property
    def is_container(self) -> bool:
        """Whether the lines that follow at a greater depth belong to this one."""
        return self.row.kind == "subtree"


def branches(profile: Profile) -> tuple[Branch, ...]:
    """The lines of the tree of ``profile``, the root first, siblings in the order of first execution.

    The lines of one container add up to it; work that a container does itself is a line of its own below it.
    """
    return tuple(_Tree(profile).walk("", 0))


class _Tree:
    """The indexes that a walk needs: who is whose child, and which rows lie at or below each path."""

    def __init__(self, profile: Profile) -> None:
        self.own = {row.path: row for row in profile.rows}
        self.below: dict[str, list[ModuleRecord]] = {"": []}
        self.children: dict[str, dict[str, None]] = {}
        self.known = {row.path: row for row in (*profile.rows, *profile.containers)}
        self.root_type = profile.provenance.class_name
        self.unknown = {path for unknown in profile.unknown for path in unknown.paths}
        for row in profile.rows:
            self._insert(row)

    def _insert(self, row: ModuleRecord) -> None:
        path = row.path
        self.below.setdefault(path, []).append(row)
        while path:
            parent = path.rpartition(".")[0]
            self.children.setdefault(parent, {})[path] = None
            self.below.setdefault(parent, []).append(row)
            path = parent

    def walk(self, path: str, depth: int) -> Iterator[Branch]:
        own, children = self.own.get(path), self.children.get(path, {})
        if own is not None and not children:
            yield Branch(own, depth, path in self.unknown)
            return
        yield Branch(self._container(path), depth, any(row.path in self.unknown for row in self.below[path]))
        if own is not None:
            yield Branch(own, depth + 1, path in self.unknown)
        for child in children:
            yield from self.walk(child, depth + 1)

    def _container(self, path: str) -> ModuleRecord:
        rows, known = self.below[path], self.known.get(path)
        sums: dict[str, Any] = {column: sum(getattr(row, column) for row in rows) for column in SUMMED}
        return ModuleRecord(
            path=path,
            type=known.type if known else "" if path else self.root_type,
            kind="subtree",
            calls=known.calls if known else 0,
            input_shape=known.input_shape if known else (),
            output_shape=known.output_shape if known else (),
            dtype=known.dtype if known else None,
            modules=known.modules if known else 1,
            duration_s=total_duration(rows),
            live=known.live if known else None,
            training=summed_training(rows),
            **sums,
        )
