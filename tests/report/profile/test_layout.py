from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchstat_cli.report.profile.columns import COLUMNS
from torchstat_cli.report.profile.layout import align_units, cell_width, fit, shorten

FOUR = [COLUMNS[name] for name in ("path", "type", "params", "flops")]


def test_no_limit_keeps_everything() -> None:
    assert fit(FOUR, [10, 10, 10, 10], None).kept == (0, 1, 2, 3)


def test_exact_fit_keeps_everything() -> None:
    assert fit(FOUR, [10, 10, 10, 10], 46).kept == (0, 1, 2, 3)  # 4 columns and 3 gaps of 2


def test_one_cell_less_drops_the_highest_rank() -> None:
    assert fit(FOUR, [10, 10, 10, 10], 45).kept == (0, 2, 3)


def test_names_shrink_before_the_last_two_numbers_go() -> None:
    three = [COLUMNS[name] for name in ("path", "params", "madds", "flops")]
    layout = fit(three, [30, 10, 10, 10], 60)
    assert (layout.kept, layout.name_width) == ((0, 1, 2, 3), 24)
    assert fit(three, [30, 10, 10, 10], 59).kept == (0, 1, 3)
    layout = fit(three, [30, 10, 10, 10], 36)
    assert (layout.kept, layout.name_width) == ((0, 1, 3), 12)


def test_a_number_goes_before_names_become_unreadable() -> None:
    layout = fit(FOUR, [30, 10, 10, 10], 30)
    assert (layout.kept, layout.name_width) == ((0, 3), 18)


def test_one_number_always_stays() -> None:
    layout = fit(FOUR, [30, 10, 10, 10], 5)
    assert (layout.kept, layout.name_width) == ((0, 3), 1)


def test_without_names_nothing_is_shortened() -> None:
    layout = fit([COLUMNS["flops"], COLUMNS["params"], COLUMNS["madds"]], [10, 10, 10], 25)
    assert (layout.kept, layout.name_width) == ((0, 1), 10)


@given(st.lists(st.integers(1, 40), min_size=4, max_size=4), st.integers(30, 200))
def test_what_is_kept_fits(widths: list[int], limit: int) -> None:
    layout = fit(FOUR, widths, limit)
    used = layout.name_width + sum(widths[position] for position in layout.kept[1:]) + 2 * (len(layout.kept) - 1)
    assert used <= limit or layout.name_width == 1


@pytest.mark.parametrize(("text", "width"), [("", 0), ("abc", 3), ("模块", 4), ("e\u0301", 1)])
def test_width_of_text(text: str, width: int) -> None:
    assert cell_width(text) == width


def test_shortened_names_keep_their_end() -> None:
    assert shorten("layer1.0.conv1", 14) == "layer1.0.conv1"
    assert shorten("layer1.0.conv1", 10) == "lay….conv1"
    assert shorten("layer1.0.conv1", 10, "...") == "la...conv1"
    assert shorten("layer1", 1) == "…"
    assert shorten("layer1", 2, "...") == ".."


@given(st.text(max_size=40), st.integers(1, 40))
def test_shortened_names_fit(text: str, width: int) -> None:
    assert cell_width(shorten(text, width)) <= width


def test_units_are_aligned() -> None:
    assert align_units(["1.814 G", "64", "0", "80 B", ""]) == ["1.814 G", "64  ", "0  ", "80 B", ""]
    assert align_units(["1.000 KiB", "80 B"]) == ["1.000 KiB", "80 B  "]
    assert align_units(["12", "3"]) == ["12", "3"]
