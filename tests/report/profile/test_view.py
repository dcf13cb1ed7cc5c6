from __future__ import annotations

from typing import Any

import pytest

from tests.report.profiles import TINY, timed, with_unknown
from torchstat_cli.errors import UsageError
from torchstat_cli.records import SUMMED
from torchstat_cli.report.profile.view import Selection, View, select


def names(selection: Selection) -> list[str]:
    return [selection.name(row) for row in selection.rows]


def test_everything_in_order_of_execution() -> None:
    selection = select(TINY, View())
    assert names(selection) == ["features.0", "features.1", "", "head", "aux"]
    assert (selection.hidden, selection.rest) == (0, None)


def test_depth_folds() -> None:
    selection = select(TINY, View(depth=1))
    assert names(selection) == ["features", "", "head", "aux"]
    assert (selection.rows[0].flops, getattr(selection.rows[0], "type", None)) == (14080 + 256, "Sequential")
    assert names(select(TINY, View(depth=0))) == [""]


def test_numbers_descend_and_ties_keep_their_order() -> None:
    assert names(select(TINY, View(sort="flops"))) == ["features.0", "head", "features.1", "", "aux"]


def test_text_ascends() -> None:
    assert names(select(TINY, View(sort="path"))) == ["", "aux", "features.0", "features.1", "head"]


def test_a_minus_descends_for_text_and_changes_nothing_for_numbers() -> None:
    assert names(select(TINY, View(sort="-path"))) == ["head", "features.1", "features.0", "aux", ""]
    assert names(select(TINY, View(sort="-flops"))) == names(select(TINY, View(sort="flops")))


def test_the_words_of_papers_name_columns() -> None:
    selection = select(TINY, View(columns=("path", "macs", "gflops"), sort="-macs"))
    assert [column.name for column in selection.columns] == ["path", "madds", "flops"]
    assert names(selection)[0] == "features.0"
    with pytest.raises(UsageError, match="'madds' is named twice"):
        select(TINY, View(columns=("macs", "madds")))


def test_rows_without_a_value_come_last() -> None:
    assert names(select(timed(), View(sort="duration_s"))) == ["head", "", "features.0", "features.1", "aux"]


@pytest.mark.parametrize("column", ["input_shape", "attrs", "dtype", "shared_with", "intensity", "kind"])
def test_any_column_sorts(column: str) -> None:
    assert sorted(names(select(TINY, View(sort=column)))) == ["", "aux", "features.0", "features.1", "head"]


def test_filter_matches_case_and_across_dots() -> None:
    assert names(select(TINY, View(filter="f*"))) == ["features.0", "features.1"]
    with pytest.raises(UsageError, match="no module matches the filter 'Head'"):
        select(TINY, View(filter="Head"))


@pytest.mark.parametrize(
    "view", [View(top=2), View(sort="flops", top=1), View(filter="*ea*", top=1), View(filter="head")]
)
def test_shown_and_left_out_add_up_to_the_totals(view: View) -> None:
    selection = select(TINY, view)
    assert selection.rest is not None
    assert selection.hidden + len(selection.rows) == len(TINY.rows)
    for column in SUMMED:
        shown = sum(getattr(row, column) for row in selection.rows)
        assert shown + getattr(selection.rest, column) == getattr(TINY.total, column)


def test_top_beyond_the_end_leaves_nothing_out() -> None:
    assert select(TINY, View(top=99)).rest is None


def test_by_type_and_by_operator() -> None:
    assert names(select(TINY, View(by="type", sort="flops"))) == ["Conv2d", "Linear", "ReLU", "TinyNet"]
    assert names(select(TINY, View(by="operator", filter="aten.*l*", top=2))) == ["aten.relu", "aten.mul"]


def test_lower_bounds_are_marked_where_they_ran() -> None:
    profile = with_unknown()
    assert select(profile, View()).bounded == {"features.1"}
    assert select(profile, View(depth=1)).bounded == {"features"}
    assert select(profile, View(depth=0)).bounded == {""}
    assert select(profile, View(by="type")).bounded == {"ReLU"}
    assert select(profile, View(by="operator")).bounded == {"mylib.op"}
    rest = select(profile, View(top=1)).rest
    assert rest is not None
    assert rest.lower_bound


def test_columns_in_the_order_asked_for() -> None:
    columns = select(TINY, View(columns=("flops", "path"))).columns
    assert [column.name for column in columns] == ["flops", "path"]


@pytest.mark.parametrize(
    ("wishes", "message", "hint"),
    [
        ({"by": "layer"}, "no way of grouping named 'layer'", "choose from module, type, operator"),
        ({"columns": ("flop",)}, "no column by module named 'flop'", "did you mean flops"),
        ({"columns": ("MAdds",)}, "no column by module named 'MAdds'", "did you mean madds"),
        ({"columns": ()}, "the list of columns is empty", "choose from path"),
        ({"columns": ("flops", "path", "flops")}, "'flops' is named twice", "once"),
        ({"sort": ""}, "no column by module named ''", "choose from path"),
        ({"sort": "params", "by": "operator"}, "no column by operator named 'params'", "choose from op"),
        ({"depth": -1}, "the depth -1 is negative", "depth 0"),
        ({"depth": 1, "by": "operator"}, "operators have no depth", "leave the depth out"),
        ({"top": 0}, "the top 0 rows are none", "at least one"),
        ({"units": "si"}, "no unit style named 'si'", "auto, raw"),
        ({"filter": "haed"}, "no module matches the filter 'haed'", "'head'"),
        ({"filter": "x*"}, "no module matches the filter 'x*'", "* stands for any text"),
    ],
)
def test_bad_wishes(wishes: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        select(TINY, View(**wishes))
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
