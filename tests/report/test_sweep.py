from __future__ import annotations

import csv
import io
import json

import pytest

from torchstat_cli.errors import UsageError
from torchstat_cli.records import SweepResult, SweepRow
from torchstat_cli.report.sweep import check_sort, columns, render

NUMBERS = {"params": 1200, "madds": 3_000_000, "flops": 6_000_000, "memory": 2048}
RESULT = SweepResult(
    (
        SweepRow("small", {"batch": "1"}, "ok", None, "Net", "1x8", "meta", False, NUMBERS),
        SweepRow("bad|name\x1b[31m", {"batch": "1"}, "failed", "no model (look again)"),
        SweepRow("large", {"batch": "1"}, "ok", None, "Net", "1x8", "cpu", True, {**NUMBERS, "params": 2_000_000}),
    ),
    ("batch",),
    {"mode": "eval"},
)


def test_the_table_shows_numbers_and_what_went_wrong() -> None:
    lines = render(RESULT).splitlines()
    assert lines[0].split() == ["model", "batch", "params", "MAdds", "FLOPs", "memory"]
    assert lines[1].split() == ["small", "1", "1.200", "k", "3.000", "M", "6.000", "M", "2.000", "KiB"]
    assert "failed: no model (look again)" in lines[2]
    assert "\x1b" not in lines[2]
    assert "≥6.000 M" in lines[3]
    assert lines[3].endswith("on cpu")
    assert lines[-2] == "3 rows, 1 without numbers"
    assert "lower bounds" in lines[-1]


def test_csv_and_json_hold_the_same_exact_numbers() -> None:
    rows = list(csv.DictReader(io.StringIO(render(RESULT, "csv"))))
    document = json.loads(render(RESULT, "json"))
    assert tuple(rows[0]) == columns(("batch",)) == tuple(document["models"][0])
    assert [row["params"] for row in rows] == ["1200", "", "2000000"]
    assert [model["params"] for model in document["models"]] == [1200, None, 2_000_000]
    assert document["models"][1]["error"] == "no model (look again)"
    assert document["settings"] == {"mode": "eval"}


def test_markdown_escapes_names() -> None:
    assert "bad\\|name" in render(RESULT, "markdown")


@pytest.mark.parametrize(
    ("sort", "order"), [("params", ["large", "small"]), ("-params", ["small", "large"]), ("model", ["bad", "large"])]
)
def test_rows_without_the_number_come_last(sort: str, order: list[str]) -> None:
    models = [model["model"] for model in json.loads(render(RESULT, "json", sort))["models"]]
    assert [model.partition("|")[0] for model in models[:2]] == order


def test_a_column_that_there_is_not() -> None:
    with pytest.raises(UsageError):
        check_sort("speed", ())
    check_sort("-params", ())
