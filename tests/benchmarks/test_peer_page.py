"""The page of the comparison, from results made up by hand."""

from __future__ import annotations

import pytest

from benchmarks.contest import Outcome
from benchmarks.peer_page import (
    Results,
    Truth,
    error_cell,
    lines,
    madds_cell,
    markdown_table,
    page,
    seconds_cell,
    time_lines,
    warm_cell,
)

TRUTH = Truth("net", "torchvision", madds=2_000_000, params=1000)
RIGHT = Outcome("modelstat", "net", 2_000_000, 1000, first_s=0.040, warm_s=0.0271)
WRONG = Outcome("other", "net", 500_000, 1250, first_s=0.1, warm_s=0.05)
FAILED = Outcome("third", "net", failure="TypeError: no\nsuch   input")
RESULTS = Results((TRUTH,), (RIGHT, WRONG, FAILED), ("modelstat", "other", "third"))
TOYS = Results(
    (Truth("toy", "sample_models", madds=64, params=8),),
    (
        Outcome("modelstat", "toy", 64, 8, first_s=0.003, warm_s=0.002),
        Outcome("other", "toy", 32, 8, first_s=0.002, warm_s=0.001),
        Outcome("third", "toy", failure="ValueError: too small"),
    ),
    ("modelstat", "other", "third"),
)


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, "-"),
        (1_000_000, "="),
        (0, "-100.0 %"),
        (1_030_000, "+3.0 %"),
        (642_000, "-35.8 %"),
        (1_000_001, "+1"),  # no difference may round away
        (999_600, "-400"),
        (10_000_000, "+900.0 %"),
    ],
)
def test_an_error_prints_signed_and_never_vanishes(value: int | None, cell: str) -> None:
    assert error_cell(value, 1_000_000) == cell


def test_seconds_print_as_milliseconds_of_a_later_and_the_first_call() -> None:
    assert seconds_cell(RIGHT) == "27.1 / 40.0"
    assert warm_cell(WRONG) == "50.0"
    assert (seconds_cell(FAILED), warm_cell(FAILED)) == ("x", "x")


def test_a_failure_is_no_number() -> None:
    assert madds_cell(FAILED, TRUTH) == "x"


def test_lines_have_one_cell_per_tool() -> None:
    assert lines(RESULTS, "library", lambda truth: truth.library, madds_cell) == [
        ("model", "library", "modelstat", "other", "third"),
        ("net", "torchvision", "=", "-75.0 %", "x"),
    ]


def test_the_baseline_is_a_column_of_the_times_alone() -> None:
    forward = Outcome("forward", "net", first_s=0.010, warm_s=0.008)
    results = Results((TRUTH,), (RIGHT, forward), ("modelstat",), baseline="forward")
    assert lines(results, "library", lambda truth: truth.library, madds_cell)[0] == ("model", "library", "modelstat")
    assert time_lines(results, warm_cell) == [
        ("model", "library", "modelstat", "forward"),
        ("net", "torchvision", "27.1", "8.0"),
    ]


def test_a_pair_that_was_not_measured_is_an_error() -> None:
    with pytest.raises(KeyError, match="fourth"):
        RESULTS.of("net", "fourth")


def test_markdown_tables_have_a_rule_under_the_head() -> None:
    assert markdown_table([("a", "b"), ("1", "2")]) == "| a | b |\n| --- | ---: |\n| 1 | 2 |\n"


def test_the_page_tells_numbers_words_faults_and_failures() -> None:
    words = {"modelstat": "`madds`", "other": "its MACs", "third": "its FLOPs"}
    text = page(RESULTS, TOYS, {"torch": "2.13.0", "other": "1.0"}, words, {"other": "It misses attention."})
    assert "Measured with torch 2.13.0, other 1.0." in text
    assert "| net | 2.000 M | = | -75.0 % | x |" in text
    assert "| net | 1.000 k | = | +25.0 % | x |" in text
    assert "| net | torchvision | 27.1 / 40.0 | 50.0 / 100.0 | x |" in text
    assert "**other** (its MACs). It misses attention." in text
    assert "- third, net: TypeError: no such input\n" in text
    assert "- third, toy: ValueError: too small\n" in text


def test_toys_have_tables_of_their_own() -> None:
    text = page(RESULTS, TOYS, {"torch": "2.13.0"}, {}, {})
    models, _, toys = text.partition("## Toys")
    assert "toy |" not in models
    assert "| toy | 64 | = | -50.0 % | x |" in toys
    assert "| toy | sample_models | 2.0 / 3.0 | 1.0 / 2.0 | x |" in toys
