from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.report.profiles import TINY, renamed, tied, timed, with_unknown
from torchstat_cli.errors import BaselineError
from torchstat_cli.records import Profile
from torchstat_cli.report.profile.formats.json import render
from torchstat_cli.report.profile.saved import from_json, read_report

PEAK = replace(TINY, total=replace(TINY.total, peak=12345))


@pytest.mark.parametrize("profile", [TINY, timed(), tied(), with_unknown(), PEAK, renamed("模块"), TINY.folded(1)])
def test_a_saved_profile_comes_back(profile: Profile) -> None:
    assert from_json(render(profile)) == replace(profile, containers=())


def test_from_a_file_also_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(render(TINY), encoding="utf-8-sig")
    assert read_report(path).rows == TINY.rows


def test_keys_of_a_later_version_of_this_schema_are_ignored() -> None:
    report = json.loads(render(TINY))
    report["later"] = 1
    report["rows"][0]["later"] = 1
    assert from_json(json.dumps(report)).total == TINY.total


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfe\x00\x01", "r.json is a binary file"),
        (b"", "r.json is not complete, valid JSON"),
        (b'{"schema": 1', "r.json is not complete, valid JSON"),
        (b"[" * 100_000, "r.json is not complete, valid JSON"),
        (b"[1]", "not a report of modelstat"),
        (b"{}", "not a report of modelstat"),
        (b'{"tool": "other", "schema": 1}', "not a report of modelstat"),
        (b'{"tool": "modelstat", "schema": 2}', "r.json has schema 2; this version reads schemas up to 1"),
        (b'{"tool": "modelstat", "schema": "1"}', "'schema' is '1', not a whole number"),
        (b'{"tool": "modelstat", "schema": 1}', "'model' is missing"),
        (b'{"tool": "modelstat", "schema": NaN}', "not complete, valid JSON"),
        (b"path,type\na,b\n", "not complete, valid JSON"),
    ],
)
def test_files_that_are_no_report(data: bytes, message: str) -> None:
    with pytest.raises(BaselineError) as caught:
        from_json(data, "r.json")
    assert message in caught.value.message
    assert caught.value.hint


def _row(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda report: report["rows"][3].update({key: value})


def _top(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda report: report.update({key: value})


def _total(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda report: report["totals"].update({key: value})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_row("params", "12"), "r.json: rows[3]: 'params' is '12', not a whole number"),
        (_row("params", 1.5), "rows[3]: 'params' is 1.5"),
        (_row("params", -1), "rows[3]: 'params' is -1"),
        (_row("params", 10**31), "not a whole number from 0 to 10^30"),
        (_total("peak", 10**400), f"'peak' is 1{'0' * 56}..., not a whole number"),
        (_top("inputs", [{"name": None, "shape": [10**400], "dtype": "int8"}]), "not a shape"),
        (_row("duration_s", 10**400), "not a duration"),
        (_top("mode", "\x1b[2J" + "x" * 1000), "'mode' is '\\x1b[2Jxxx"),
        (_row("calls", True), "rows[3]: 'calls' is True"),
        (_row("kind", "branch"), "'kind' is 'branch', not leaf or direct or subtree"),
        (_row("path", None), "'path' is None, not text"),
        (_row("input_shape", [1, 2]), "'input_shape' is [1, 2], not a list of shapes"),
        (_row("duration_s", "fast"), "'duration_s' is 'fast', not a duration"),
        (_row("attrs", []), "'attrs' is [], not an object"),
        (_row("params", 1291), "its rows have 1526 params, its totals say 1525"),
        (_total("flops", 1), "its rows have 19732 flops, its totals say 1"),
        (_total("lower_bound", 0), "'lower_bound' is 0, not true or false"),
        (_total("peak", "big"), "'peak' is 'big'"),
        (_top("rows", {}), "'rows' is {}, not a list of objects"),
        (_top("rows", [1]), "not a list of objects"),
        (_top("totals", None), "'totals' is None, not an object"),
        (_top("mode", "test"), "'mode' is 'test', not eval or train"),
        (_top("never_called", [1]), "not a list of text"),
        (_top("inputs", [{"name": None, "shape": "1", "dtype": "int8"}]), "inputs[0]: 'shape' is '1', not a shape"),
        (lambda report: report["rows"][0].pop("madds"), "rows[0]: 'madds' is missing"),
    ],
)
def test_damaged_reports_name_the_place(damage: Callable[[dict[str, Any]], None], message: str) -> None:
    report = json.loads(render(TINY))
    damage(report)
    with pytest.raises(BaselineError) as caught:
        from_json(json.dumps(report), "r.json")
    assert message in caught.value.message


@pytest.mark.parametrize("name", ["missing.json", ".", "missing/report.json", "nul\0.json", "x" * 5000])
def test_files_that_cannot_be_read(name: str, tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="cannot read the report"):
        read_report(tmp_path / name)
