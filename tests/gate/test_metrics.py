from __future__ import annotations

import pytest

from tests.gate.profiles import profile, row
from torchstat_cli.gate.metrics import (
    METRICS,
    SUMMED_METRICS,
    format_delta,
    format_percent,
    format_value,
    metric_sums,
    metric_totals,
)


def test_order_and_names() -> None:
    assert list(METRICS) == ["params", "trainable", "flops", "madds", "memory", "peak"]
    assert SUMMED_METRICS == ("params", "trainable", "flops", "madds", "memory")


def test_totals_leave_out_a_peak_that_was_not_measured() -> None:
    rows = (row("a", params=3, trainable_params=2, flops=5, madds=1, memory=8),)
    expected = {"params": 3, "trainable": 2, "flops": 5, "madds": 1, "memory": 8}
    assert metric_totals(profile(*rows).total) == expected
    assert metric_totals(profile(*rows, peak=99).total) == {**expected, "peak": 99}


def test_sums_over_rows() -> None:
    rows = [row("a", params=3, flops=5), row("b", params=4, memory=8)]
    assert metric_sums(rows) == {"params": 7, "trainable": 7, "flops": 5, "madds": 0, "memory": 8}


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [("params", 5_712_424, "5.712 M"), ("memory", 51_116_224, "48.75 MiB"), ("flops", 7, "7")],
)
def test_values_have_the_unit_of_their_metric(metric: str, value: int, text: str) -> None:
    assert format_value(metric, value) == text


@pytest.mark.parametrize(
    ("metric", "delta", "text"),
    [
        ("params", 1_182_720, "+1.183 M"),
        ("flops", -592_896, "-592.9 k"),
        ("memory", -2048, "-2.000 KiB"),
        ("peak", 0, "="),
    ],
)
def test_deltas_carry_their_sign(metric: str, delta: int, text: str) -> None:
    assert format_delta(metric, delta) == text


@pytest.mark.parametrize(
    ("delta", "baseline", "text"),
    [
        (1_182_720, 5_712_424, "+20.70 %"),
        (-1, 4, "-25.00 %"),
        (0, 4, ""),
        (5, 0, ""),  # growth from nothing has no percentage
        (5, None, ""),
        (1, 10**9, "<0.01 %"),
        (-1, 10**9, ">-0.01 %"),
    ],
)
def test_percent(delta: int, baseline: int | None, text: str) -> None:
    assert format_percent(delta, baseline) == text
