"""The search for the largest size that fits, on peaks given by formulas."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from torchstat_cli.errors import ForwardError
from torchstat_cli.records import CLASSES, FitPoint
from torchstat_cli.tasks.search import Search, search_largest


def points(peak: Callable[[int], int]) -> tuple[Callable[[int], FitPoint], list[int]]:
    tried: list[int] = []

    def simulate(size: int) -> FitPoint:
        tried.append(size)
        return FitPoint(size, peak(size), (peak(size), *(0,) * (len(CLASSES) - 1)), "", "forward")

    return simulate, tried


def largest(search: Search) -> int | None:
    return search.largest.size if search.largest else None


@pytest.mark.parametrize("budget", [100, 109, 110, 1_234, 9_999])
def test_a_straight_peak_is_found_in_two_steps_after_doubling(budget: int) -> None:
    simulate, tried = points(lambda size: 90 + 10 * size)
    assert largest(search_largest(simulate, budget)) == (budget - 90) // 10
    doublings = len([size for size in tried if size & (size - 1) == 0])
    assert len(tried) <= doublings + 2


def test_a_curved_peak_is_found_exactly() -> None:
    simulate, tried = points(lambda size: 50 + size * size)
    assert largest(search_largest(simulate, 1_000_050)) == 1000
    assert len(tried) < 40


def test_nothing_fits() -> None:
    simulate, tried = points(lambda size: 100 + size)
    search = search_largest(simulate, 50)
    assert search.largest is None
    assert tried == [1]


def test_a_peak_that_equals_the_budget_fits() -> None:
    """Every size does, so that the search goes on to the limit."""
    simulate, tried = points(lambda size: 50)
    assert largest(search_largest(simulate, 50, limit=100)) == 100
    assert tried == [1, 2, 4, 8, 16, 32, 64, 100]


def test_the_limit_ends_the_search() -> None:
    simulate, tried = points(lambda size: 1)
    assert largest(search_largest(simulate, 50, limit=100)) == 100
    assert max(tried) == 100


def test_a_size_that_does_not_run_does_not_fit() -> None:
    def simulate(size: int) -> FitPoint:
        if size > 77:
            raise ForwardError("too long")
        return points(lambda n: n)[0](size)

    search = search_largest(simulate, 10_000)
    assert largest(search) == 77
    assert search.obstacle is not None
    assert search.obstacle.message == "too long"


def test_a_layer_that_needs_two_samples_starts_at_two() -> None:
    def simulate(size: int) -> FitPoint:
        if size == 1:
            raise ForwardError("more than 1 value per channel")
        return points(lambda n: n)[0](size)

    assert largest(search_largest(simulate, 9)) == 9


def test_a_model_that_never_runs_tells_its_first_reason() -> None:
    def simulate(size: int) -> FitPoint:
        raise ForwardError(f"no {size}")

    with pytest.raises(ForwardError, match="no 1"):
        search_largest(simulate, 9)
