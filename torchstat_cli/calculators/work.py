"""Add up what operators cost, by module and by operator."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from torchstat_cli.calculators.registry import Registry
from torchstat_cli.calculators.traffic import allocated, traffic
from torchstat_cli.records import Event, OpRecord

WORK = ("madds", "flops", "mem_read", "mem_write", "memory")
"""What an operator call adds to its module, its operator and the totals."""


@dataclass(slots=True)
class Work:
    """A sum of operator calls."""

    calls: int = 0
    madds: int = 0
    flops: int = 0
    mem_read: int = 0  # bytes
    mem_write: int = 0  # bytes
    memory: int = 0  # bytes

    def add(self, other: Work, times: int = 1) -> None:
        """Count ``other`` as well, ``times`` over."""
        self.calls += times * other.calls
        self.madds += times * other.madds
        self.flops += times * other.flops
        self.mem_read += times * other.mem_read
        self.mem_write += times * other.mem_write
        self.memory += times * other.memory


@dataclass(frozen=True, slots=True)
class Sums:
    """Work by module and by operator."""

    by_module: dict[str, Work]
    by_operator: dict[str, Work]
    unknown: dict[str, Counter[str]]  # operator -> calls by module path

    @property
    def whole(self) -> Work:
        """All of it."""
        total = Work()
        for work in self.by_module.values():
            total.add(work)
        return total


def add_up(events: Iterable[Event], registry: Registry) -> Sums:
    """The work of all ``events``.

    Raises:
        FormulaError: a formula raised.
    """
    by_module: defaultdict[str, Work] = defaultdict(Work)
    by_operator: defaultdict[str, Work] = defaultdict(Work)
    unknown: defaultdict[str, Counter[str]] = defaultdict(Counter)
    edition = registry.edition
    for event in events:
        work, known = _remembered_work(event.op, registry, edition)
        if not known:
            unknown[event.op.name][event.path] += event.calls
        by_module[event.path].add(work, event.calls)
        by_operator[event.op.name].add(work, event.calls)
    return Sums(dict(by_module), dict(by_operator), dict(unknown))


_LIMIT = 50_000  # records whose work is remembered
_remembered: dict[tuple[int, tuple[int, ...]], tuple[OpRecord, Work, bool]] = {}  # by record and registry's edition


def _remembered_work(op: OpRecord, registry: Registry, edition: tuple[int, ...]) -> tuple[Work, bool]:
    """Equal calls share one record, in this profile and the next, so their work is worked out once."""
    key = id(op), edition
    found = _remembered.get(key)
    if found is None:
        if len(_remembered) >= _LIMIT:
            _remembered.clear()
        found = _remembered[key] = (op, *_work(op, registry))  # keeping the record keeps its id
    return found[1], found[2]


def _work(op: OpRecord, registry: Registry) -> tuple[Work, bool]:
    cost = registry.cost(op)
    moved = traffic(op)
    work = Work(
        calls=1,
        madds=cost.madds if cost else 0,
        flops=cost.flops if cost else 0,
        mem_read=moved.read,
        mem_write=moved.written,
        memory=allocated(op),
    )
    return work, cost is not None
