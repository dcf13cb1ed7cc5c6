"""Two profiles side by side: totals, changed layer groups, modules that came and went."""

from __future__ import annotations

from dataclasses import dataclass

from torchstat_cli.gate.baseline.snapshot import Snapshot, module_paths, snapshot_of
from torchstat_cli.gate.explain import Explanation, explain
from torchstat_cli.gate.metrics import METRICS, SUMMED_METRICS
from torchstat_cli.records import Profile


@dataclass(frozen=True, slots=True)
class Total:
    """One metric of both sides."""

    metric: str
    before: int
    after: int

    @property
    def delta(self) -> int:
        """Growth from the first to the second."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two profiles."""

    before: str  # what the two are called
    after: str
    totals: tuple[Total, ...]  # the metrics that both sides have
    explanation: Explanation
    added: tuple[str, ...]  # module paths; of a subtree that is new as a whole, its top
    removed: tuple[str, ...]
    cautions: tuple[str, ...]  # why the numbers may not be comparable


def compare_profiles(before: Profile, after: Profile, names: tuple[str, str]) -> Comparison:
    """The comparison of two profiles; nothing is judged."""
    first, second = snapshot_of(before), snapshot_of(after)
    metrics = [metric for metric in METRICS if metric in first.totals and metric in second.totals]
    old, new = module_paths(before.rows), module_paths(after.rows)
    return Comparison(
        *names,
        totals=tuple(Total(metric, first.totals[metric], second.totals[metric]) for metric in metrics),
        explanation=explain(first.groups, second.groups, SUMMED_METRICS),
        added=_tops(new - old),
        removed=_tops(old - new),
        cautions=_cautions(first, second),
    )


def _tops(paths: set[str]) -> tuple[str, ...]:
    """The paths that do not lie below another one of them."""
    return tuple(sorted(path for path in paths if path.rpartition(".")[0] not in paths))


def _cautions(first: Snapshot, second: Snapshot) -> tuple[str, ...]:
    """Differences in how the two were measured."""
    one, other = first.conditions, second.conditions
    names = (*one.differences(other), *(["torch"] if one.torch != other.torch else []))
    cautions = [f"{name}: {_word(first, name)} against {_word(second, name)}" for name in names]
    partial = sorted({*first.unknown, *second.unknown})
    return (*cautions, *([f"totals are lower bounds, no rule for {', '.join(partial)}"] if partial else []))


def _word(snapshot: Snapshot, name: str) -> str:
    value = getattr(snapshot.conditions, name)
    return ", ".join(value) if isinstance(value, tuple) else str(value)
