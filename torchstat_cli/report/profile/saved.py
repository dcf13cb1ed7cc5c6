"""Read a saved JSON report back into a profile, and say exactly what is wrong with one that cannot be used."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from torchstat_cli.errors import BaselineError
from torchstat_cli.records import (
    COSTS,
    SCHEMA,
    SUMMED,
    InputRecord,
    Mixture,
    ModuleRecord,
    OperatorTotal,
    Profile,
    Provenance,
    Totals,
    UnknownOperator,
)
from torchstat_cli.report.profile.json_fields import Entry

_REMEDY = "write it anew: modelstat MODEL --format json --output FILE"


def read_report(path: str | os.PathLike[str]) -> Profile:
    """The profile saved in the file ``path``.

    Raises:
        BaselineError: the file cannot be read, is no report, or is one that this version does not understand.
    """
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BaselineError(f"cannot read the report {str(path)!r}: {reason}", _REMEDY) from error
    return from_json(data, str(path))


def from_json(text: str | bytes, name: str = "the report") -> Profile:
    """The profile that ``text`` was made from, less what JSON does not hold: containers and the source line.

    Args:
        text: a report of ``to_json``; bytes are UTF-8.
        name: what error messages call it, for instance its file.

    Raises:
        BaselineError: no JSON, no report, a newer schema, a missing or wrong value, or rows that do not add up.
    """
    report = Entry(name, _parsed(text, name), _REMEDY)
    _check_schema(report)
    profile = Profile(
        provenance=_provenance(report),
        total=_totals(report.entry("totals")),
        rows=tuple(map(_row, report.entries("rows"))),
        operators=tuple(map(_operator, report.entries("operators"))),
        unknown=tuple(map(_unknown, report.entries("unknown"))),
        never_called=report.texts("never_called"),
        mixtures=tuple(map(_mixture, report.entries("experts"))) if "experts" in report.values else (),
    )
    _check_sums(profile, name)
    return profile


def _parsed(text: str | bytes, name: str) -> Mapping[str, Any]:
    try:
        decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text
    except UnicodeDecodeError as error:
        raise BaselineError(f"{name} is a binary file, not a JSON report", _REMEDY) from error
    try:
        value = json.loads(decoded, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        where = f" ({error})" if isinstance(error, json.JSONDecodeError) else ""
        raise BaselineError(f"{name} is not complete, valid JSON{where}", _REMEDY) from error
    if not isinstance(value, dict):
        raise BaselineError(f"{name} is JSON, but not a report of modelstat", _REMEDY)
    return value


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _check_schema(report: Entry) -> None:
    if report.values.get("tool") != "modelstat" or "schema" not in report.values:
        raise BaselineError(f"{report.name} is JSON, but not a report of modelstat", _REMEDY)
    schema = report.integer("schema")
    if schema > SCHEMA:
        message = f"{report.name} has schema {schema}; this version reads schemas up to {SCHEMA}"
        raise BaselineError(message, "update modelstat, or write the report anew with this version")


def _provenance(report: Entry) -> Provenance:
    model = report.entry("model")
    return Provenance(
        spec=model.optional_text("spec"),
        resolved=model.text("resolved"),
        class_name=model.text("class"),
        inputs=tuple(map(_input, report.entries("inputs"))),
        placement=report.text("placement"),
        mode="train" if report.one_of("mode", ("eval", "train")) == "train" else "eval",
        assumptions=report.texts("assumptions"),
        torch=report.text("torch"),
        version=report.text("version"),
        rules=report.integer("rules"),
    )


def _input(entry: Entry) -> InputRecord:
    return InputRecord(name=entry.optional_text("name"), shape=entry.shape("shape"), dtype=entry.text("dtype"))


def _totals(entry: Entry) -> Totals:
    return Totals(
        **{name: entry.integer(name) for name in (*SUMMED, "param_bytes", "buffer_bytes")},
        active_params=None if entry.values.get("active_params") is None else entry.integer("active_params"),
        peak=None if entry.values.get("peak") is None else entry.integer("peak"),
        duration_s=entry.optional_seconds("duration_s"),
        lower_bound=entry.boolean("lower_bound"),
        training=None,
    )


def _row(entry: Entry) -> ModuleRecord:
    kind = entry.one_of("kind", ("leaf", "direct", "subtree"))
    return ModuleRecord(
        path=entry.text("path"),
        type=entry.text("type"),
        kind="leaf" if kind == "leaf" else "direct" if kind == "direct" else "subtree",
        calls=entry.integer("calls"),
        input_shape=entry.shapes("input_shape"),
        output_shape=entry.shapes("output_shape"),
        dtype=entry.optional_text("dtype"),
        **{name: entry.integer(name) for name in SUMMED},
        duration_s=entry.optional_seconds("duration_s"),
        shared_with=entry.optional_text("shared_with"),
        attrs=entry.attributes("attrs"),
        param_shapes=entry.shapes("param_shapes") if "param_shapes" in entry.values else (),  # newer than schema 1
        live=None,
        training=None,
    )


def _operator(entry: Entry) -> OperatorTotal:
    numbers = {name: entry.integer(name) for name in ("calls", *COSTS)}
    return OperatorTotal(op=entry.text("op"), **numbers)


def _unknown(entry: Entry) -> UnknownOperator:
    return UnknownOperator(op=entry.text("op"), calls=entry.integer("calls"), paths=entry.texts("paths"))


def _mixture(entry: Entry) -> Mixture:
    numbers = {name: entry.integer(name) for name in ("experts", "active", "params", "active_params")}
    return Mixture(path=entry.text("path"), chosen_by=entry.text("chosen_by"), **numbers)


def _check_sums(profile: Profile, name: str) -> None:
    for column in SUMMED:
        found, said = sum(getattr(row, column) for row in profile.rows), getattr(profile.total, column)
        if found != said:
            message = f"{name} was changed: its rows have {found} {column}, its totals say {said}"
            raise BaselineError(message, _REMEDY)
