"""Fold the rows of a profile into layer groups: equal paths but for the repeat index, equal layer signatures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torchstat_cli.gate.metrics import metric_sums
from torchstat_cli.records import ModuleRecord


@dataclass(frozen=True, slots=True)
class Group:
    """Layers that repeat: one signature, how many there are, what they cost together."""

    signature: str  # "Linear 192->768"
    count: int  # rows
    sums: Mapping[str, int]  # by metric; zeros are left out


Groups = Mapping[str, tuple[Group, ...]]
"""By starred path; several groups share one path where its layers differ in signature."""


def layer_groups(rows: tuple[ModuleRecord, ...]) -> dict[str, tuple[Group, ...]]:
    """The groups of ``rows``, sorted by path, then signature; every metric sums to the sum over the rows."""
    starred = _starred_paths(rows)
    members: dict[tuple[str, str], list[ModuleRecord]] = {}
    for row, path in zip(rows, starred, strict=True):
        members.setdefault((path, signature(row)), []).append(row)
    groups: dict[str, tuple[Group, ...]] = {}
    for (path, name), group in sorted(members.items()):
        sums = {metric: value for metric, value in metric_sums(group).items() if value}
        groups[path] = (*groups.get(path, ()), Group(name, len(group), sums))
    return groups


def _starred_paths(rows: tuple[ModuleRecord, ...]) -> list[str]:
    """The path of every row with its repeat indices written as ``*``.

    An index repeats where a sibling index holds a layer of the same type at the same place below it: the blocks of a
    transformer repeat, the attention and the feed-forward part of one block do not. The last index of a leaf stays: in
    ``net.1`` it says which layer is meant.
    """
    seen: dict[tuple[str, str, str], set[str]] = {}
    for row in rows:
        for parent, index, below in _indices(row):
            seen.setdefault((parent, below, row.type), set()).add(index)
    repeats: set[tuple[str, str]] = set()
    for (parent, _, _), indices in seen.items():
        if len(indices) > 1:
            repeats |= {(parent, index) for index in indices}
    return [_star(row.path, repeats, keep_last=row.kind != "direct") for row in rows]


def _indices(row: ModuleRecord) -> list[tuple[str, str, str]]:
    """``(parent, index, path below)`` of every numeric component that may repeat."""
    parts = row.path.split(".")
    last = len(parts) if row.kind == "direct" else len(parts) - 1
    return [
        (".".join(parts[:place]), parts[place], ".".join(parts[place + 1 :]))
        for place in range(last)
        if parts[place].isdigit()
    ]


def _star(path: str, repeats: set[tuple[str, str]], *, keep_last: bool) -> str:
    parts = path.split(".")
    last = len(parts) - 1
    return ".".join(
        "*" if (".".join(parts[:place]), part) in repeats and not (keep_last and place == last) else part
        for place, part in enumerate(parts)
    )


def signature(row: ModuleRecord) -> str:
    """What kind of layer a row is, without its cost: ``Linear 192->768``, ``Conv2d 64->128 3x3 /2``."""
    if row.kind != "leaf":
        return f"{row.type} ({row.kind})"
    words = [row.type, _widths(row.attrs), *_convolution(row.attrs)]
    return " ".join(word for word in words if word)


_WIDTHS = (
    ("in_features", "out_features", "->"),
    ("in_channels", "out_channels", "->"),
    ("num_embeddings", "embedding_dim", "x"),
    ("input_size", "hidden_size", "->"),
)
_SINGLE_WIDTHS = ("num_features", "normalized_shape", "num_channels", "embed_dim")


def _widths(attrs: Mapping[str, Any]) -> str:
    for first, second, arrow in _WIDTHS:
        if first in attrs and second in attrs:
            return f"{attrs[first]}{arrow}{attrs[second]}"
    return next((_joined(attrs[name]) for name in _SINGLE_WIDTHS if name in attrs), "")


def _convolution(attrs: Mapping[str, Any]) -> list[str]:
    """Kernel, stride and groups; the usual stride and group of 1 are left out."""
    words = [_joined(attrs["kernel_size"])] if "kernel_size" in attrs else []
    stride = _numbers(attrs.get("stride", 1))
    if any(step != 1 for step in stride) and "kernel_size" in attrs:
        words.append(f"/{stride[0] if len(set(stride)) == 1 else 'x'.join(map(str, stride))}")
    if attrs.get("groups", 1) != 1:
        words.append(f"groups {attrs['groups']}")
    return words


def _joined(value: object) -> str:
    return "x".join(map(str, _numbers(value)))


def _numbers(value: object) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)
