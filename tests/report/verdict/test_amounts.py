from __future__ import annotations

import pytest

from torchstat_cli.report.verdict.amounts import format_delta, format_percent, format_value


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
