from __future__ import annotations

from dataclasses import fields
from typing import get_args

import pytest

from tests.report.profiles import TINY, timed
from torchstat_cli.records import ModuleRecord, OperatorTotal
from torchstat_cli.report.profile.columns import COLUMNS, By, available_columns, data_columns, table_columns
from torchstat_cli.report.profile.row_sums import TypeTotal

NESTED = ("live", "training")  # only some runs have them: columns of their own, when asked for
OTHER = (*NESTED, "param_shapes", "modules")  # what folding compares, and what it says of a folded row
EACH = {"params_each", "madds_each", "flops_each"}

FIELDS = {
    "module": tuple(name for name in ModuleRecord._fields if name not in OTHER),
    "group": (*(name for name in ModuleRecord._fields if name not in OTHER), "modules", *EACH),
    "type": tuple(field.name for field in fields(TypeTotal)),
    "operator": tuple(field.name for field in fields(OperatorTotal)),
}


@pytest.mark.parametrize("by", get_args(By))
def test_data_columns_are_the_fields_of_the_rows(by: By) -> None:
    assert sorted(data_columns(by)) == sorted({*FIELDS[by]} - {*NESTED})


def test_data_columns_come_in_the_order_of_a_row() -> None:
    assert data_columns("module") == tuple(name for name in ModuleRecord._fields if name not in OTHER)
    for by in get_args(By):
        shared = [name for name in data_columns(by) if name in ModuleRecord._fields and name not in ("type", "modules")]
        assert shared == [name for name in ModuleRecord._fields if name in shared]


@pytest.mark.parametrize("by", get_args(By))
def test_every_column_of_a_table_can_be_asked_for(by: By) -> None:
    assert set(table_columns(by, timed=True)) <= set(available_columns(by)) <= set(COLUMNS)


def test_durations_are_shown_only_when_timed() -> None:
    assert "duration_s" not in table_columns("module", timed=False)
    assert table_columns("module", timed=True)[-2:] == ("duration_s", "duration_share")


def test_ranks_are_distinct_among_the_columns_of_one_table() -> None:
    for by in get_args(By):
        ranks = [COLUMNS[name].rank for name in table_columns(by, timed=True)]
        assert len(set(ranks)) == len(ranks)


def test_derived_columns() -> None:
    head = TINY.rows[3]
    assert COLUMNS["mem_total"].value(head, TINY.total) == 6184 + 80
    assert COLUMNS["flops_share"].value(head, TINY.total) == 5140 / 19732
    assert COLUMNS["intensity"].value(head, TINY.total) == 5140 / 6264
    profile = timed()
    assert COLUMNS["duration_share"].value(profile.rows[3], profile.total) == 0.5


def test_derived_columns_have_no_value_where_nothing_ran() -> None:
    never_called = TINY.rows[4]
    assert COLUMNS["intensity"].value(never_called, TINY.total) is None
    assert COLUMNS["duration_share"].value(never_called, TINY.total) is None
