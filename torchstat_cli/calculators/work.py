"""Add up what operators cost, by module and by operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from torchstat_cli.calculators.memory import allocated
from torchstat_cli.calculators.registry import Registry
from torchstat_cli.calculators.traffic import traffic
from torchstat_cli.records import Event, OpRecord

WORK = ("madds", "flops", "mem_read", "mem_write", "memory")
"""What an operator call adds to its module, its operator and the totals."""

Work = Counter[str]


@dataclass(frozen=True, slots=True)
class Sums:
    """Work by module and by operator."""

    by_module: dict[str, Work]
    by_operator: dict[str, Work]
    unknown: dict[str, Counter[str]]  # operator -> calls by module path


def add_up(events: Iterable[Event], registry: Registry) -> Sums:
    """The work of all ``events``.

    Raises:
        FormulaError: a formula raised.
    """
    sums = Sums({}, {}, {})
    edition = registry.edition
    for event in events:
        work, known = _remembered_work(event.op, registry, edition)
        if not known:
            sums.unknown.setdefault(event.op.name, Counter())[event.path] += event.calls
        for total in (
            sums.by_module.setdefault(event.path, Counter()),
            sums.by_operator.setdefault(event.op.name, Counter()),
        ):
            total["calls"] += event.calls
            for metric in WORK:
                total[metric] += event.calls * work[metric]
    return sums


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
    work = Counter(
        madds=cost.madds if cost else 0,
        flops=cost.flops if cost else 0,
        mem_read=moved.read,
        mem_write=moved.written,
        memory=allocated(op),
    )
    return work, cost is not None
