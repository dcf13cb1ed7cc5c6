"""What generating many tokens costs, from a few observed steps.

A decoding step costs more by the same amount for each token in the cache, as long as no window or cap is reached. So
the cost is observed at both ends and in the middle of a stretch: where the three lie on one straight line, the stretch
is an arithmetic series; where they do not, its halves are looked at in the same way.
"""

from __future__ import annotations

from collections.abc import Callable

Numbers = tuple[int, ...]


def series_sum(cost: Callable[[int], Numbers], first: int, last: int) -> Numbers:
    """The sum of ``cost(n)`` for n from ``first`` to ``last``, both included, exact where cost is piecewise straight.

    ``cost`` is asked once per n.
    """
    known: dict[int, Numbers] = {}

    def at(n: int) -> Numbers:
        if n not in known:
            known[n] = cost(n)
        return known[n]

    return _sum(at, first, last)


def _sum(at: Callable[[int], Numbers], first: int, last: int) -> Numbers:
    if last - first < 3:
        return tuple(map(sum, zip(*(at(n) for n in range(first, last + 1)), strict=True)))
    middle = (first + last) // 2
    if _on_a_line(at, first, middle, last):
        return tuple((last - first + 1) * (a + b) // 2 for a, b in zip(at(first), at(last), strict=True))
    lower, upper = _sum(at, first, middle), _sum(at, middle + 1, last)
    return tuple(a + b for a, b in zip(lower, upper, strict=True))


def _on_a_line(at: Callable[[int], Numbers], first: int, middle: int, last: int) -> bool:
    """Whether the three points of every number lie on one straight line with a whole slope."""
    length, part = last - first, middle - first
    return all(
        (b - a) % length == 0 and m - a == (b - a) // length * part
        for a, m, b in zip(at(first), at(middle), at(last), strict=True)
    )
