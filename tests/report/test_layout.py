from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.report.display import WIDE_NAMES, twin
from torchstat_cli.report.layout import Column, align_units, fit, lay_out, narrowed, table_lines
from torchstat_cli.report.profile.columns import COLUMNS

FOUR = [COLUMNS[name].rank for name in ("path", "type", "params", "flops")]


def test_no_limit_keeps_everything() -> None:
    assert fit([10, 10, 10, 10], FOUR, None).kept == (0, 1, 2, 3)


def test_exact_fit_keeps_everything() -> None:
    assert fit([10, 10, 10, 10], FOUR, 46).kept == (0, 1, 2, 3)  # 4 columns and 3 gaps of 2


def test_one_cell_less_drops_the_highest_rank() -> None:
    assert fit([10, 10, 10, 10], FOUR, 45).kept == (0, 2, 3)


def test_names_shrink_before_the_last_two_numbers_go() -> None:
    three = [COLUMNS[name].rank for name in ("path", "params", "madds", "flops")]
    layout = fit([30, 10, 10, 10], three, 60)
    assert (layout.kept, layout.first) == ((0, 1, 2, 3), 24)
    assert fit([30, 10, 10, 10], three, 59).kept == (0, 1, 3)
    layout = fit([30, 10, 10, 10], three, 36)
    assert (layout.kept, layout.first) == ((0, 1, 3), 12)


def test_a_number_goes_before_names_become_unreadable() -> None:
    layout = fit([30, 10, 10, 10], FOUR, 30)
    assert (layout.kept, layout.first) == ((0, 3), 18)


def test_one_number_always_stays() -> None:
    layout = fit([30, 10, 10, 10], FOUR, 5)
    assert (layout.kept, layout.first) == ((0, 3), 1)


def test_without_names_nothing_is_shortened() -> None:
    three = [COLUMNS[name].rank for name in ("flops", "params", "madds")]
    layout = fit([10, 10, 10], three, 25, named=False)
    assert (layout.kept, layout.first) == ((0, 1), 10)


@given(st.lists(st.integers(1, 40), min_size=4, max_size=4), st.integers(30, 200))
def test_what_is_kept_fits(widths: list[int], limit: int) -> None:
    layout = fit(widths, FOUR, limit)
    used = layout.first + sum(widths[position] for position in layout.kept[1:]) + 2 * (len(layout.kept) - 1)
    assert used <= limit or layout.first == 1


def test_units_are_aligned() -> None:
    assert align_units(["1.814 G", "64", "0", "80 B", ""]) == ["1.814 G", "64  ", "0  ", "80 B", ""]
    assert align_units(["1.000 KiB", "80 B"]) == ["1.000 KiB", "80 B  "]
    assert align_units(["12", "3"]) == ["12", "3"]


COLUMNS_OF_THREE = (Column(), Column("right", gap=3), Column(gap=1, least=4))


def test_each_column_is_as_wide_as_its_widest_text() -> None:
    assert lay_out([("a", "1", "x"), ("bcd", "20", "yy")], COLUMNS_OF_THREE) == ["  a      1 x   ", "  bcd   20 yy  "]
    assert table_lines([("a", "1", "x"), ("bcd", "20", "")], COLUMNS_OF_THREE) == ["  a      1 x", "  bcd   20"]


def test_wide_names_take_as_many_cells_as_their_twins() -> None:
    rows = [(name, name[::2], name) for name in WIDE_NAMES]
    twins = [tuple(map(twin, row)) for row in rows]
    assert list(map(twin, lay_out(rows, COLUMNS_OF_THREE))) == lay_out(twins, COLUMNS_OF_THREE)


def test_a_name_moves_no_cursor() -> None:
    assert table_lines([("a\r\x1b[2Jb", "\n", "")], COLUMNS_OF_THREE) == ["  a\\r\\x1b[2Jb   \\n"]


def test_the_widest_columns_give_way_first() -> None:
    assert narrowed([10, 4, 20], 40) == [10, 4, 20]
    assert narrowed([10, 4, 20], 26) == [10, 4, 12]
    assert narrowed([10, 4, 20], 20) == [8, 4, 8]
    assert sorted(narrowed([10, 4, 20], 19)) == [4, 7, 8]
    assert narrowed([3, 3], 0) == [0, 0]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=9), st.integers(0, 200))
def test_narrowed_columns_take_the_room_there_is(widths: list[int], limit: int) -> None:
    narrow = narrowed(widths, limit)
    assert sum(narrow) == min(sum(widths), limit)
    assert all(new <= old for new, old in zip(narrow, widths, strict=True))
    touched = [new for new, old in zip(narrow, widths, strict=True) if new < old]
    assert max(narrow) - min(touched, default=max(narrow)) <= 1  # evenly
