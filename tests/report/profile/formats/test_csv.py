from __future__ import annotations

import csv
from collections.abc import Callable
from io import StringIO

import pandas
import pytest

from tests.report.profiles import TINY, renamed, tied, timed
from torchstat_cli.records import SUMMED, Profile
from torchstat_cli.report.profile.formats.csv import render
from torchstat_cli.report.profile.view import View


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(text, newline="")))


def frame(text: str) -> pandas.DataFrame:
    """As the documentation says that a report should be read."""
    return pandas.read_csv(StringIO(text), dtype={"path": str}, keep_default_na=False)


def test_golden(golden: Callable[[str, str], None]) -> None:
    golden("report/tiny.csv", render(TINY))
    golden("report/tiny_operators.csv", render(TINY, View(by="operator")))


@pytest.mark.parametrize("profile", [TINY, timed(), tied()])
def test_columns_sum_to_the_totals(profile: Profile) -> None:
    data = frame(render(profile))
    assert {column: int(data[column].sum()) for column in SUMMED} == {
        column: getattr(profile.total, column) for column in SUMMED
    }


@pytest.mark.parametrize("column", ["madds", "flops", "mem_read", "mem_write"])
def test_operators_sum_to_the_totals(column: str) -> None:
    rows = read(render(TINY, View(by="operator")))
    assert sum(int(row[column]) for row in rows) == getattr(TINY.total, column)


def test_shapes_and_missing_values() -> None:
    rows = read(render(tied()))
    assert (rows[1]["input_shape"], rows[1]["output_shape"]) == ("1x1x4", "1x1x10;1x4")
    assert (rows[1]["shared_with"], rows[0]["shared_with"], rows[0]["duration_s"]) == ("embed", "", "")


def test_attributes_are_one_cell_of_json() -> None:
    assert read(render(TINY))[0]["attrs"] == '{"kernel_size": [3, 3], "groups": 1}'


def test_durations_are_exact() -> None:
    assert [row["duration_s"] for row in read(render(timed()))] == ["0.001", "0.001", "0.002", "0.004", ""]


@pytest.mark.parametrize(
    "path", ["=SUM(A1)", "+a", "-a", "@a", 'a,"b"', "a\nb", "a\rb", "1.10", "NA", "", "模块", "<script>"]
)
def test_any_name_comes_back_exactly(path: str) -> None:
    text = render(renamed(path))
    assert read(text)[3]["path"] == path
    assert frame(text)["path"][3] == path


def test_numbers_stay_whole_whatever_the_units() -> None:
    assert render(TINY, View(units="auto")) == render(TINY, View(units="raw"))


def test_chosen_rows_and_columns() -> None:
    text = render(TINY, View(columns=("path", "flops", "flops_share"), sort="flops", top=2))
    assert text == f"path,flops,flops_share\nfeatures.0,14080,{14080 / 19732!r}\nhead,5140,{5140 / 19732!r}\n"
