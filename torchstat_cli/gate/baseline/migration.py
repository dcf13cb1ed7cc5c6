"""What an update changes about entries besides their numbers: how they were measured, and what they are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torchstat_cli.gate.baseline.json import Baseline
from torchstat_cli.gate.baseline.snapshot import Conditions, Snapshot


def as_measured(old: Baseline, taken: Baseline) -> dict[str, Snapshot]:
    """``old`` as if it had been measured like ``taken``, so that an update shows both numbers side by side.

    The torch version stays, as another one makes no entry incomparable.
    """
    return {
        name: _measured_like(entry, taken[name].conditions) if name in taken else entry for name, entry in old.items()
    }


def _measured_like(entry: Snapshot, conditions: Conditions) -> Snapshot:
    return replace(entry, conditions=replace(conditions, torch=entry.conditions.torch))


def migrations(old: Baseline, new: Baseline, former: Mapping[str, str]) -> tuple[str, ...]:
    """One sentence for each way in which entries differ from before, with the models that it is true of.

    Args:
        old: the entries as they were, by their names of today.
        new: as they are.
        former: what the baseline called a model before, where that is another name.
    """
    changes: dict[str, list[str]] = {}
    for name in sorted({*old} & {*new}):
        if former.get(name, name) != name:
            changes.setdefault(f"was {former[name]}", []).append(name)
        elif old[name].spec != new[name].spec:
            changes.setdefault(f"its spec was {old[name].spec} and is {new[name].spec}", []).append(name)
        for text in differences(old[name].conditions, new[name].conditions):
            changes.setdefault(text, []).append(name)
    return tuple(f"{', '.join(names)}: {text}" for text, names in changes.items())


def differences(base: Conditions, now: Conditions) -> list[str]:
    """In words, what makes numbers of ``base`` and ``now`` not comparable."""
    return [_difference(name, base, now) for name in base.differences(now)]


def _difference(name: str, base: Conditions, now: Conditions) -> str:
    if name == "input":
        before, after = _inputs(base, now)
        return f"the baseline was measured on {before}, this run on {after}"
    before, after = str(getattr(base, name)), str(getattr(now, name))
    what = {"rules": "counted with rules", "mode": "measured in mode", "attention": "measured with attention"}[name]
    return f"the baseline was {what} {before}, this run {'with' if name != 'mode' else 'in'} {after}"


def _inputs(base: Conditions, now: Conditions) -> tuple[str, str]:
    """Both inputs in words; dtypes only where they differ."""
    shapes = [", ".join(word.rpartition(":")[0] for word in measured.input) for measured in (base, now)]
    if shapes[0] != shapes[1]:
        return shapes[0] or "no input", shapes[1] or "no input"
    return ", ".join(base.input), ", ".join(now.input)
