from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.report.profiles import TINY, module, timed
from torchstat_cli.errors import UsageError
from torchstat_cli.records import SUMMED
from torchstat_cli.report.profile.columns import By, data_columns
from torchstat_cli.report.profile.formats.frame import to_pandas


@pytest.mark.parametrize("by", ["module", "type", "operator"])
def test_columns_are_those_of_the_csv_and_sum_to_the_totals(by: By) -> None:
    frame = to_pandas(TINY, by)
    assert tuple(frame.columns) == data_columns(by)
    for column in set(SUMMED) & set(frame.columns):
        assert frame[column].dtype == "int64"
        assert int(frame[column].sum()) == getattr(TINY.total, column)


def test_values_are_ready_to_use() -> None:
    frame = to_pandas(timed())
    assert frame["path"].tolist() == ["features.0", "features.1", "", "head", "aux"]
    assert frame["input_shape"][0] == "2x3x4x4"
    assert frame["attrs"][0]["kernel_size"] == (3, 3)
    assert frame["duration_s"].dtype == "float64"
    assert math.isnan(frame["duration_s"][4])


def test_untimed_durations_are_empty_numbers() -> None:
    assert to_pandas(TINY)["duration_s"].isna().all()


def test_huge_integers_stay_exact() -> None:
    rows = (module("a", "A", flops=2**65 + 1), module("b", "B", flops=1))
    assert to_pandas(replace(TINY, rows=rows))["flops"].sum() == 2**65 + 2


def test_no_rows() -> None:
    frame = to_pandas(replace(TINY, rows=()))
    assert len(frame) == 0
    assert tuple(frame.columns) == data_columns("module")


def test_unknown_grouping() -> None:
    with pytest.raises(UsageError, match="no way of grouping named 'layer'"):
        to_pandas(TINY, "layer")  # type: ignore[arg-type]
