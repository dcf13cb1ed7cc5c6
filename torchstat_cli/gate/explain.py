"""Why a model grew: the layer groups whose numbers changed; their deltas sum exactly to the change of the totals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torchstat_cli.gate.layer_groups import Group, Groups
from torchstat_cli.gate.metrics import SUMMED_METRICS


@dataclass(frozen=True, slots=True)
class GroupChange:
    """What happened to the layers at one starred path."""

    path: str  # "transformer.layers.*.1.net.1"
    kind: Literal["changed", "added", "removed"]
    before: tuple[Group, ...]
    after: tuple[Group, ...]
    deltas: Mapping[str, int]  # by metric, every summed metric

    @property
    def description(self) -> str:
        """In words: ``12 x Linear 192->768  is now 192->1024``."""
        before, after = _describe(self.before), _describe(self.after)
        if not self.before or not self.after or before == after:
            return after or before
        if len(self.before) == len(self.after) == 1:
            return f"{before}  is now {_news(self.before[0], self.after[0])}"
        return f"{before}  is now {after}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """Every changed group of one model, and how many groups there are."""

    changes: tuple[GroupChange, ...]  # largest first
    groups: int  # paths before and after together


def explain(before: Groups, after: Groups, metrics: tuple[str, ...]) -> Explanation:
    """The groups that differ between two snapshots, sorted by their share of the change in ``metrics``."""
    paths = sorted({*before, *after})
    changes = [_change(path, before.get(path, ()), after.get(path, ())) for path in paths]
    changed = [change for change in changes if any(change.deltas.values()) or change.kind != "changed"]
    weights = {metric: max((abs(change.deltas[metric]) for change in changed), default=0) for metric in metrics}
    return Explanation(tuple(sorted(changed, key=lambda change: _rank(change, weights))), len(paths))


def _change(path: str, before: tuple[Group, ...], after: tuple[Group, ...]) -> GroupChange:
    deltas = {metric: _sum(after, metric) - _sum(before, metric) for metric in SUMMED_METRICS}
    kind: Literal["changed", "added", "removed"] = "changed" if before and after else "added" if after else "removed"
    return GroupChange(path, kind, before, after, deltas)


def _sum(groups: tuple[Group, ...], metric: str) -> int:
    return sum(group.sums.get(metric, 0) for group in groups)


def _rank(change: GroupChange, weights: Mapping[str, int]) -> tuple[float, str]:
    """Largest share first; metrics have different units, so each counts relative to its own largest change."""
    shares = [abs(change.deltas[metric]) / weight for metric, weight in weights.items() if weight]
    return -max(shares, default=0.0), change.path


def _describe(groups: tuple[Group, ...]) -> str:
    return ", ".join(f"{group.count} x {group.signature}" for group in groups)


def _news(before: Group, after: Group) -> str:
    """``after`` in as few words as tell it from ``before``."""
    if before.count != after.count:
        same = after.signature == before.signature
        return f"{after.count} x" if same else f"{after.count} x {after.signature}"
    layer, _, rest = after.signature.partition(" ")
    return rest if rest and layer == before.signature.partition(" ")[0] else after.signature
