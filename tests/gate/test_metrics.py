from __future__ import annotations

from tests.gate.profiles import profile, row
from torchstat_cli.gate.metrics import METRICS, SUMMED_METRICS, metric_sums, metric_totals


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
