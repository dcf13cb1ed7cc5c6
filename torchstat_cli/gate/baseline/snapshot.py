"""What a baseline remembers of one model: how it was measured, totals, layer groups, guarded modules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from torchstat_cli.gate.layer_groups import Groups, layer_groups
from torchstat_cli.gate.metrics import metric_sums, metric_totals
from torchstat_cli.records import InputRecord, ModuleRecord, Profile
from torchstat_cli.units import format_shape

LIVE = "live "
"""Spec of a model that was handed over as a module: this, and its class."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """How the numbers were measured; all but ``torch`` must be equal for two snapshots to be comparable."""

    input: tuple[str, ...]  # "1x3x224x224:float32", keyword inputs as "mask=1x16:int64"
    mode: str
    rules: int  # version of the counting rules
    attention: str  # backend of scaled dot-product attention
    torch: str  # major.minor: the same model may dispatch to other operators in another torch

    def differences(self, other: Conditions) -> tuple[str, ...]:
        """The fields that make the two not comparable."""
        return tuple(
            name for name in ("input", "mode", "rules", "attention") if getattr(self, name) != getattr(other, name)
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One model's numbers, as a baseline keeps them."""

    spec: str
    conditions: Conditions
    totals: Mapping[str, int]  # by metric
    groups: Groups
    modules: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # by glob, then metric
    unknown: tuple[str, ...] = ()  # operators without a rule: totals are lower bounds

    @property
    def is_live(self) -> bool:
        """Whether a test built the model, so that no configuration can name it."""
        return self.spec.startswith(LIVE)


def snapshot_of(profile: Profile, *, globs: Iterable[str] = ()) -> Snapshot:
    """The snapshot of ``profile``; ``globs`` name modules whose sums are kept too.

    A glob that matches no module is left out of ``modules``.
    """
    origin = profile.provenance
    conditions = Conditions(
        input=tuple(map(_input_word, origin.inputs)),
        mode=origin.mode,
        rules=origin.rules,
        attention=origin.attention,
        torch=".".join(origin.torch.split(".")[:2]),
    )
    selections = {glob: [row for row in profile.rows if _selects(glob, row.path)] for glob in globs}
    return Snapshot(
        spec=origin.spec or origin.resolved,
        conditions=conditions,
        totals=metric_totals(profile.total),
        groups=layer_groups(profile.rows),
        modules={glob: metric_sums(rows) for glob, rows in selections.items() if rows},
        unknown=tuple(sorted(operator.op for operator in profile.unknown)),
    )


def _selects(glob: str, path: str) -> bool:
    """Whether ``glob`` matches the module or one that contains it: a selected module counts with all below it."""
    parts = path.split(".")
    return any(fnmatchcase(".".join(parts[: depth + 1]), glob) for depth in range(len(parts)))


def _input_word(tensor: InputRecord) -> str:
    name = f"{tensor.name}=" if tensor.name else ""
    return f"{name}{format_shape(tensor.shape)}:{tensor.dtype}"


def module_paths(rows: Iterable[ModuleRecord]) -> set[str]:
    """Every module path of a profile, containers included: what a glob may match."""
    return {
        ".".join(parts[:depth]) for row in rows for parts in [row.path.split(".")] for depth in range(1, len(parts) + 1)
    }
