"""Series summed from a few of their members."""

from __future__ import annotations

import pytest

from torchstat_cli.calculators.generation import series_sum


@pytest.mark.parametrize(("first", "last"), [(5, 5), (5, 6), (5, 8), (5, 9), (3, 1000), (100, 1123)])
def test_a_straight_series_needs_few_members(first: int, last: int) -> None:
    asked: list[int] = []

    def cost(n: int) -> tuple[int, int]:
        asked.append(n)
        return 7 * n + 3, 11

    expected = (sum(7 * n + 3 for n in range(first, last + 1)), 11 * (last - first + 1))
    assert series_sum(cost, first, last) == expected
    assert len(asked) == len(set(asked)) <= 4


def test_a_window_bends_the_series() -> None:
    asked: list[int] = []

    def cost(n: int) -> tuple[int]:
        asked.append(n)
        return (5 * min(n, 300),)

    assert series_sum(cost, 10, 2000) == (sum(5 * min(n, 300) for n in range(10, 2001)),)
    assert len(asked) < 60
