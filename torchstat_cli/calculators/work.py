"""Add up what operators cost, by module and by operator."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from torchstat_cli.calculators.registry import Registry
from torchstat_cli.calculators.traffic import allocated, traffic
from torchstat_cli.records import COSTS, Event, OpRecord

TALLIED = (*COSTS, "memory")
"""What an operator call adds to its module, its operator and the totals."""

_PLACES = {name: place for place, name in enumerate(TALLIED)}
_MADDS = _PLACES["madds"]


@dataclass(slots=True)
class Tally:
    """A running sum of operator calls; each number of ``TALLIED`` is an attribute."""

    calls: int = 0
    numbers: list[int] = field(default_factory=lambda: [0] * len(TALLIED))

    def add(self, other: Tally, times: int = 1) -> None:
        """Count ``other`` as well, ``times`` over."""
        self.calls += times * other.calls
        self.numbers = [own + times * number for own, number in zip(self.numbers, other.numbers)]  # noqa: B905  (hot)

    def __getattr__(self, name: str) -> int:
        if name not in _PLACES:
            raise AttributeError(f"nothing called {name!r} is tallied")
        return self.numbers[_PLACES[name]]

    def by_name(self) -> dict[str, int]:
        """Every number, by its name."""
        return dict(zip(TALLIED, self.numbers, strict=True))


@dataclass(frozen=True, slots=True)
class Sums:
    """Tally by module and by operator."""

    by_module: dict[str, Tally]
    by_operator: dict[str, Tally]
    unknown: dict[str, Counter[str]]  # operator -> calls by module path
    compute: dict[str, int]  # MAdds by the dtype of their results

    @property
    def whole(self) -> Tally:
        """All of it."""
        total = Tally()
        for work in self.by_module.values():
            total.add(work)
        return total


def add_up(events: Iterable[Event], registry: Registry) -> Sums:
    """The work of all ``events``.

    Raises:
        FormulaError: a formula raised.
    """
    by_module: defaultdict[str, Tally] = defaultdict(Tally)
    by_operator: defaultdict[str, Tally] = defaultdict(Tally)
    unknown: defaultdict[str, Counter[str]] = defaultdict(Counter)
    compute: defaultdict[str, int] = defaultdict(int)
    edition = registry.edition
    for event in events:
        work, known = _remembered_work(event.op, registry, edition)
        if work.numbers[_MADDS] and event.op.outputs:
            compute[event.op.outputs[0].dtype] += event.calls * work.numbers[_MADDS]
        if not known:
            unknown[event.op.name][event.path] += event.calls
        by_module[event.path].add(work, event.calls)
        by_operator[event.op.name].add(work, event.calls)
    return Sums(dict(by_module), dict(by_operator), dict(unknown), dict(compute))


_LIMIT = 50_000  # records whose work is remembered
_remembered: dict[tuple[int, tuple[int, ...]], tuple[OpRecord, Tally, bool]] = {}  # by record and registry's edition


def _remembered_work(op: OpRecord, registry: Registry, edition: tuple[int, ...]) -> tuple[Tally, bool]:
    """Equal calls share one record, in this profile and the next, so their work is worked out once."""
    key = id(op), edition
    found = _remembered.get(key)
    if found is None:
        if len(_remembered) >= _LIMIT:
            _remembered.clear()
        found = _remembered[key] = (op, *_work(op, registry))  # keeping the record keeps its id
    return found[1], found[2]


def _work(op: OpRecord, registry: Registry) -> tuple[Tally, bool]:
    """What one call adds, and whether its operator is known: the one place that says where each number comes from."""
    cost = registry.cost(op)
    moved = traffic(op)
    numbers = {
        "madds": cost.madds if cost else 0,
        "flops": cost.flops if cost else 0,
        "mem_read": moved.read,
        "mem_write": moved.written,
        "memory": allocated(op),
    }
    return Tally(1, [numbers[name] for name in TALLIED]), cost is not None
