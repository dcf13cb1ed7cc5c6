from __future__ import annotations

import pytest

from tests.report.profiles import TINY, tied, with_unknown
from torchstat_cli.report.profile.cells import Cell, build
from torchstat_cli.report.profile.view import View, select


def test_values_stay_exact_beside_their_text() -> None:
    grid = build(select(TINY, View(columns=("path", "params", "memory"))), "auto")
    assert grid.rows[3] == (Cell("head", "head"), Cell("1.290 k", 1290), Cell("80 B", 80))
    assert grid.total == (Cell("total"), Cell("1.525 k", 1525), Cell("3.078 KiB", 3152))
    assert grid.rest is None


def test_raw_units() -> None:
    grid = build(select(TINY, View(columns=("path", "params", "memory"))), "raw")
    assert [cell.text for cell in grid.rows[3]] == ["head", "1290", "80"]


def test_zeros_missing_values_and_lower_bounds_differ() -> None:
    grid = build(select(with_unknown(), View(columns=("madds", "input_shape"))), "auto")
    assert grid.rows[2][0] == Cell("0", 0, "nothing")
    assert grid.rows[1][0] == Cell("≥0", 0, "bound")
    assert grid.rows[4][1] == Cell("-", (), "nothing")
    assert grid.total[0] == Cell("≥9.472 k", 9472, "bound")


@pytest.mark.parametrize(("top", "label"), [(3, "… and 2 more rows"), (4, "… and 1 more row")])
def test_what_is_left_out_is_summed(top: int, label: str) -> None:
    rest = build(select(TINY, View(columns=("path", "params"), top=top)), "raw").rest
    assert rest == (Cell(label), Cell("1300", 1300) if top == 3 else Cell("10", 10))


def test_names_of_the_root_of_direct_work_and_of_ties() -> None:
    columns = ("path", "type", "output_shape")
    assert [cell.text for cell in build(select(TINY, View(columns=columns)), "auto").rows[2]] == [
        "(root)",
        "TinyNet (direct)",
        "2x10",
    ]
    assert [cell.text for cell in build(select(tied(), View(columns=columns)), "auto").rows[1]] == [
        "lm_head = embed",
        "Linear ×2",
        "1x1x10 +1",
    ]
