"""The report as JSON, schema 1: everything that was measured, exact, the same bytes for the same profile."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from math import isfinite
from typing import Any

from torchstat_cli.errors import UsageError
from torchstat_cli.records import COSTS, SCHEMA, InputRecord, Profile, Totals, UnknownOperator
from torchstat_cli.report.profile.columns import COLUMNS, data_columns
from torchstat_cli.report.profile.json_parts import observed
from torchstat_cli.report.profile.view import View, check, select

_PARTS = ("param_shapes", "live", "training")

_TOTALS = (
    *("params", "trainable_params", "buffers", "param_bytes", "buffer_bytes", *COSTS, "memory", "peak", "training"),
    *("intensity", "duration_s", "lower_bound"),
)


def render(profile: Profile, view: View | None = None) -> str:
    """``profile`` as JSON, one line per row; of a view only the depth and the groups matter.

    Raises:
        UsageError: the view leaves something out; a report that does not add up would be no report.
    """
    view = view or View()
    check(view)
    _refuse_parts(view)
    report = build(profile if view.depth is None else profile.folded(view.depth))
    if view.by == "group":
        groups = select(profile, view, data=True).rows
        report["groups"] = [_record(row, (*data_columns("group"), *_PARTS), profile.total) for row in groups]
    return to_text(report)


def _refuse_parts(view: View) -> None:
    partial = {
        "by": view.by == "type",
        "columns": view.columns is not None,
        "sort": view.sort is not None,
        "top": view.top is not None,
        "filter": view.filter is not None,
    }
    asked = [name for name, given in partial.items() if given]
    if asked:
        message = f"a JSON report is always whole and in the order of execution; it cannot take {', '.join(asked)}"
        raise UsageError(message, "use CSV for a selection of rows, or select from the JSON afterwards")


def build(profile: Profile) -> dict[str, Any]:
    """The report as plain Python values, in the order in which it is written."""
    origin = profile.provenance
    return {
        "schema": SCHEMA,
        "rules": origin.rules,
        "tool": "modelstat",
        "version": origin.version,
        "torch": origin.torch,
        "model": {"spec": origin.spec, "resolved": origin.resolved, "class": origin.class_name},
        "inputs": [_record(item, _names(InputRecord)) for item in origin.inputs],
        "placement": origin.placement,
        "mode": origin.mode,
        "assumptions": list(origin.assumptions),
        "totals": _totals(profile.total),
        "rows": [_record(row, (*data_columns("module"), *_PARTS)) for row in profile.rows],
        "operators": [_record(operator, data_columns("operator")) for operator in profile.operators],
        "unknown": [_record(unknown, _names(UnknownOperator)) for unknown in profile.unknown],
        "never_called": list(profile.never_called),
        **observed(profile),
    }


def _totals(total: Totals) -> dict[str, Any]:
    active = {} if total.active_params is None else {"active_params": total.active_params}
    return {**_record(total, _TOTALS), **active}


def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _record(record: Any, names: Sequence[str], total: Totals | None = None) -> dict[str, Any]:
    """The values of ``record`` by name, less the parts that it does not have; derived ones need the ``total``."""
    values = {
        name: plain(COLUMNS[name].value(record, total) if total and name in COLUMNS else getattr(record, name))
        for name in names
    }
    return {name: value for name, value in values.items() if value or name not in _PARTS}


def plain(value: Any) -> Any:
    """``value`` in the types that JSON has; what it lacks, such as infinity or a dtype, becomes its text."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return str(value)


def to_text(report: Mapping[str, Any]) -> str:
    """``report`` with one line per entry of its lists, so that two reports can be compared line by line."""
    entries = ",\n".join(f"  {json.dumps(key)}: {_entry(value)}" for key, value in report.items())
    return f"{{\n{entries}\n}}\n"


def _entry(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(f"    {json.dumps(item)}" for item in value) + "\n  ]"
    return json.dumps(value)
