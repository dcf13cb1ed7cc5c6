"""What ``--update`` and ``--ratchet`` write: pure functions from the old entries and the new numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from torchstat_cli.gate.baseline.json import Baseline
from torchstat_cli.gate.baseline.snapshot import Snapshot
from torchstat_cli.gate.layer_groups import Group, Groups


def updated(old: Baseline, taken: Baseline, dropped: Collection[str] = ()) -> dict[str, Snapshot]:
    """``old`` without the entries ``dropped``, and with those of ``taken`` in their place."""
    return {**{name: entry for name, entry in old.items() if name not in dropped}, **taken}


def ratcheted(old: Baseline, taken: Baseline) -> dict[str, Snapshot]:
    """``old`` with every number that ``taken`` makes smaller; new and incomparable models stay as they are."""
    return {
        name: _tightened(entry, taken[name])
        if name in taken and not entry.conditions.differences(taken[name].conditions)
        else entry
        for name, entry in old.items()
    }


def _tightened(old: Snapshot, new: Snapshot) -> Snapshot:
    smaller = frozenset(name for name, value in new.totals.items() if value < old.totals.get(name, 0))
    modules = {glob: _smaller(sums, new.modules.get(glob, {})) for glob, sums in old.modules.items()}
    if not smaller:
        return replace(old, modules=modules)
    return replace(
        old,
        conditions=new.conditions,
        totals=_smaller(old.totals, new.totals),
        groups=_merged(old.groups, new.groups, smaller),
        modules=modules,
    )


def _smaller(old: Mapping[str, int], new: Mapping[str, int]) -> dict[str, int]:
    return {name: min(value, new.get(name, value)) for name, value in old.items()}


def _merged(old: Groups, new: Groups, smaller: frozenset[str]) -> dict[str, tuple[Group, ...]]:
    """Groups whose ``smaller`` metrics are the new ones, the rest the old: so they still sum to the mixed totals."""
    merged = {}
    for path in sorted({*old, *new}):
        before = {group.signature: group for group in old.get(path, ())}
        after = {group.signature: group for group in new.get(path, ())}
        groups = [_mixed(before.get(name), after.get(name), smaller) for name in sorted({*before, *after})]
        # A group that only the old model had, and whose numbers were all replaced, is no more.
        merged[path] = tuple(group for group in groups if group.sums or group.signature in after)
    return {path: groups for path, groups in merged.items() if groups}


def _mixed(old: Group | None, new: Group | None, smaller: frozenset[str]) -> Group:
    kept = {name: value for name, value in old.sums.items() if name not in smaller} if old else {}
    banked = {name: value for name, value in new.sums.items() if name in smaller} if new else {}
    shape = new or old
    assert shape is not None
    return Group(shape.signature, shape.count, {**kept, **banked})
