"""Figures beside goals."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from benchmarks.figures import Figure, closing, figure_table


def test_a_limit_is_reached_at_its_value_and_missed_above() -> None:
    assert Figure("a", 0.5, "x", 0.5).verdict == "ok"
    assert Figure("a", 0.501, "x", 0.5).verdict == "missed"  # prints as 0.50, and is compared unrounded
    assert Figure("a", 0.501, "x").verdict == ""


def test_an_exact_goal_is_missed_on_both_sides() -> None:
    assert Figure("a", 171.0, "TFLOP", 171.0, exact=True).verdict == "ok"
    assert Figure("a", 170.9, "TFLOP", 171.0, exact=True).verdict == "missed"
    assert Figure("a", 171.1, "TFLOP", 171.0, exact=True).verdict == "missed"


def test_numbers_print_with_their_unit() -> None:
    figure = Figure("a", 1234.56, "MiB", 1536, digits=0)
    assert (figure.figure, figure.target) == ("1,235 MiB", "<= 1,536 MiB")
    assert Figure("a", 171.04, "TFLOP", 171.04, exact=True, digits=1).target == "= 171.0 TFLOP"
    assert Figure("a", 0.1, "s").target == ""


def test_closing_counts_only_figures_with_goals() -> None:
    reached, missed, shown = Figure("a", 1, "x", 2), Figure("b", 3, "x", 2), Figure("c", 9, "x")
    assert closing([reached, shown]) == "all 1 goals reached"
    assert closing([reached, missed, shown]) == "1 of 2 goals missed"
    assert closing([shown]) == "no goals here"


def test_the_table_shows_goal_and_verdict_side_by_side() -> None:
    console = Console(width=100, file=StringIO(), color_system=None)
    console.print(figure_table("Start-up", [Figure("help", 0.04, "x", 0.25, details="0.05 s"), Figure("b", 2, "x", 1)]))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]  # a StringIO
    assert lines[0].strip() == "Start-up"
    assert [line.split() for line in lines[2:]] == [
        ["help", "0.04", "x", "<=", "0.25", "x", "ok", "0.05", "s"],
        ["b", "2.00", "x", "<=", "1.00", "x", "missed"],
    ]
