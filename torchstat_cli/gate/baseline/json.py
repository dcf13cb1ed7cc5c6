"""The baseline as text: byte-stable JSON, one layer group per line, strictly checked when read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from torchstat_cli.foreign_text import quoted
from torchstat_cli.gate.baseline.snapshot import Conditions, Snapshot
from torchstat_cli.gate.layer_groups import Group

BASELINE_SCHEMA = 1

LARGEST = 2**63 - 1
"""The largest number that an entry may hold: no model comes near, and every program reads it exactly."""

MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""By old schema: a function that turns a whole document into the next schema's form."""

Baseline = Mapping[str, Snapshot]
"""Snapshots by model name."""


def write_baseline(models: Baseline) -> str:
    """The baseline as text, ending in a newline; equal models give equal bytes, on any machine.

    Fields come in one fixed order, totals before groups; everything that has a name of its own is sorted by it.
    """
    entries = [f"{json.dumps(name)}: {_entry_text(models[name])}" for name in sorted(models)]
    return f'{{\n  "schema": {BASELINE_SCHEMA},\n  "models": {_block(entries, 4)}\n}}\n'


def _entry_text(snapshot: Snapshot) -> str:
    made = {name: getattr(snapshot.conditions, name) for name in sorted(Conditions.__slots__)}
    groups = [f"{json.dumps(path)}: {_groups_text(groups)}" for path, groups in sorted(snapshot.groups.items())]
    modules = [f"{json.dumps(glob)}: {_line(sums)}" for glob, sums in sorted(snapshot.modules.items())]
    fields = [
        f'"spec": {json.dumps(snapshot.spec)}',
        f'"made": {_line(made)}',
        f'"totals": {_line(snapshot.totals)}',
        *([f'"unknown": {_line(list(snapshot.unknown))}'] if snapshot.unknown else []),
        *([f'"modules": {_block(modules, 8)}'] if modules else []),
        f'"groups": {_block(groups, 8)}',
    ]
    return _block(fields, 6)


def _groups_text(groups: tuple[Group, ...]) -> str:
    lines = [_line([group.signature, group.count, dict(group.sums)]) for group in groups]
    if len(lines) == 1:
        return lines[0]
    return "[\n          " + ",\n          ".join(lines) + "\n        ]"


def _block(lines: list[str], indent: int) -> str:
    """An object with one line per member, which stand ``indent`` spaces in."""
    if not lines:
        return "{}"
    margin = " " * indent
    return "{\n" + ",\n".join(margin + line for line in lines) + f"\n{margin[:-2]}}}"


def _line(value: Any) -> str:
    return json.dumps(dict(value) if isinstance(value, Mapping) else value, sort_keys=True)


def read_baseline(text: str) -> dict[str, Snapshot]:
    """The snapshots that ``text`` holds; an older schema is migrated.

    Raises:
        ValueError: with one sentence that says what is wrong with the text.
    """
    if any(line.startswith(("<<<<<<< ", ">>>>>>> ")) for line in text.splitlines()):
        raise ValueError("has a merge conflict in it")
    if not text.strip():
        raise ValueError("is empty")
    try:
        document = json.loads(text, object_pairs_hook=_without_duplicates, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not valid JSON: {error.msg} in line {error.lineno}; it may be cut off") from error
    except RecursionError as error:
        raise ValueError("is not a baseline: it is nested too deeply") from error
    return _read_document(document)


def _integer(digits: str) -> int:
    try:
        return int(digits)
    except ValueError as error:  # Python reads no integer of more than 4300 digits
        raise ValueError(f"is not a baseline: it holds a number of {len(digits)} digits") from error


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise ValueError(f"names {quoted(twice)} twice, as a merge gone wrong does")
    return dict(pairs)


def _read_document(document: Any) -> dict[str, Snapshot]:
    if not isinstance(document, dict) or not _is_count(document.get("schema")):
        raise ValueError('is not a baseline: it has no "schema" number')
    schema: int = document["schema"]
    if schema > BASELINE_SCHEMA:
        raise ValueError(f"has schema {schema}, newer than the {BASELINE_SCHEMA} that this modelstat reads")
    while schema < BASELINE_SCHEMA:
        if schema not in MIGRATIONS:
            raise ValueError(f"has the unknown schema {schema}")
        document, schema = MIGRATIONS[schema](document), schema + 1
    models = document.get("models")
    if not isinstance(models, dict):
        raise ValueError('is not a baseline: its "models" are no object')
    return {name: _read_entry(name, entry) for name, entry in models.items()}


def _read_entry(name: str, entry: Any) -> Snapshot:
    try:
        return Snapshot(
            spec=_checked(entry["spec"], str),
            conditions=_read_conditions(entry["made"]),
            totals=_counts(entry["totals"]),
            groups={path: _read_groups(value) for path, value in entry["groups"].items()},
            modules={glob: _counts(sums) for glob, sums in entry.get("modules", {}).items()},
            unknown=_texts(entry.get("unknown", [])),
        )
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"holds an entry for {quoted(name)} that makes no sense ({reason})") from error


def _read_conditions(made: Any) -> Conditions:
    texts = {name: _checked(made[name], str) for name in ("mode", "attention", "torch")}
    return Conditions(input=_texts(made["input"]), rules=_count(made["rules"]), **texts)


def _read_groups(value: Any) -> tuple[Group, ...]:
    groups = [value] if isinstance(value[0], str) else value
    return tuple(Group(_checked(signature, str), _count(count), _counts(sums)) for signature, count, sums in groups)


def _checked(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{quoted(value)} is no {kind.__name__}")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_checked(item, str) for item in _checked(value, list))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST


def _count(value: Any) -> int:
    if not _is_count(value):
        raise TypeError(f"{quoted(value)} is no whole number from 0 to 2^63 - 1")
    return int(value)


def _counts(value: Any) -> dict[str, int]:
    return {name: _count(number) for name, number in _checked(value, dict).items()}
