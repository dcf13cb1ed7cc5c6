"""Add up what operators cost, by module and by operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
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
    work_of = _remembering(lambda op: _work(op, registry))
    for event in events:
        work, known = work_of(event.op)
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


def _remembering(calculate: Callable[[OpRecord], tuple[Work, bool]]) -> Callable[[OpRecord], tuple[Work, bool]]:
    """Equal calls share one record, so their work is worked out once."""
    results: dict[int, tuple[Work, bool]] = {}

    def remembered(op: OpRecord) -> tuple[Work, bool]:
        if id(op) not in results:
            results[id(op)] = calculate(op)
        return results[id(op)]

    return remembered


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
