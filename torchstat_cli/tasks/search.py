"""Search the largest size whose peak fits a budget, with as few simulations as possible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torchstat_cli.errors import ModelError, ModelstatError
from torchstat_cli.records import FitPoint

LIMIT = 1 << 20
"""No size larger than this is tried."""

Simulate = Callable[[int], FitPoint]
"""The peak at one size."""


@dataclass
class Search:
    """What was tried."""

    simulate: Simulate
    budget: int  # bytes
    points: dict[int, FitPoint] = field(default_factory=dict)  # by size
    failures: dict[int, ModelError] = field(default_factory=dict)  # sizes larger than one that runs, which do not

    def fits(self, size: int) -> bool:
        """Simulate ``size``; a size that does not run does not fit.

        Raises:
            ModelError: it does not run, and nothing smaller did.
        """
        try:
            self.points[size] = self.simulate(size)
        except ModelError as error:
            if not self.points or size < min(self.points):
                raise
            self.failures[size] = error
            return False
        return self.points[size].peak <= self.budget

    @property
    def ascending(self) -> tuple[FitPoint, ...]:
        """The points by size."""
        return tuple(self.points[size] for size in sorted(self.points))

    @property
    def largest(self) -> FitPoint | None:
        """The largest size that fits; None when none does."""
        fitting = [point for point in self.ascending if point.peak <= self.budget]
        return fitting[-1] if fitting else None

    @property
    def obstacle(self) -> ModelError | None:
        """Why the next size after the largest does not run, where that is what ends the search."""
        best = self.largest
        return self.failures.get(best.size + 1) if best is not None else None


def search_largest(simulate: Simulate, budget: int, limit: int = LIMIT) -> Search:
    """Find the largest size that fits.

    Sizes double until one does not fit; between the last that fits and the first that does not, the next guess lies on
    the straight line through both, and its neighbour is tried too; then comes the middle. A peak that grows by the same
    bytes each time is so found in two more steps, any other in logarithmically many.

    Args:
        simulate: gives the peak at a size; its errors at size 1 are forgiven, since some layers need two samples.
        budget: bytes.
        limit: the largest size to try.

    Raises:
        ModelstatError: what ``simulate`` raised, where no size runs.
    """
    search = Search(simulate, budget)
    size = _smallest(search, limit)
    if search.largest is None:
        return search
    while size < limit:
        last, size = size, min(limit, 2 * size)
        if not search.fits(size):
            _narrow(search, last, size)
            break
    return search


def _smallest(search: Search, limit: int) -> int:
    """The smallest size that runs, simulated."""
    try:
        search.fits(1)
    except ModelError as error:
        try:
            search.fits(min(2, limit))
        except ModelstatError:
            raise error from None  # two samples do not help either: the first reason is the reason
    return min(search.points)


def _narrow(search: Search, fits: int, fails: int) -> None:
    """Simulate between a size that fits and one that does not until they are neighbours."""
    straight = True
    while fails - fits > 1:
        for guess in _guesses(search, fits, fails, straight):
            if not fits < guess < fails:
                break
            if search.fits(guess):
                fits = guess
            else:
                fails = guess
        straight = not straight


def _guesses(search: Search, fits: int, fails: int, straight: bool) -> tuple[int, ...]:
    if not straight or fails not in search.points:
        return ((fits + fails) // 2,)
    low, high = search.points[fits].peak, search.points[fails].peak
    guess = fits + (fails - fits) * (search.budget - low) // max(1, high - low)
    guess = min(max(guess, fits + 1), fails - 1)
    return guess, guess + 1
