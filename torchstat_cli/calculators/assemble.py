"""From a recording to a profile: every operator's cost, added up where it ran."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torchstat_cli.calculators.memory import allocated
from torchstat_cli.calculators.params import Holdings, holdings
from torchstat_cli.calculators.registry import Registry
from torchstat_cli.calculators.traffic import traffic
from torchstat_cli.records import (
    SUMMED,
    Event,
    ModuleFacts,
    ModuleRecord,
    OperatorTotal,
    OpRecord,
    Profile,
    Provenance,
    Recording,
    Totals,
    UnknownOperator,
)

WORK = ("madds", "flops", "mem_read", "mem_write", "memory")
"""What an operator call adds to its module, its operator and the totals."""

Work = Counter[str]


@dataclass(frozen=True, slots=True)
class _Sums:
    """Work by module and by operator."""

    by_module: dict[str, Work]
    by_operator: dict[str, Work]
    unknown: dict[str, Counter[str]]  # operator -> calls by module path


def assemble(recording: Recording, provenance: Provenance, registry: Registry) -> Profile:
    """The profile of one recording. Rows sum exactly to the totals.

    Raises:
        FormulaError: a formula raised.
    """
    sums = _add_up(recording.events, registry)
    held = holdings(recording.modules)
    facts = {module.path: module for module in recording.modules}
    rows: list[ModuleRecord] = []
    containers: list[ModuleRecord] = []
    for path in recording.order:
        record = _row(facts[path], held[path], sums.by_module.get(path, Counter()))
        unknown_here = any(path in calls for calls in sums.unknown.values())
        has_row = facts[path].is_leaf or unknown_here or any(getattr(record, column) for column in SUMMED)
        (rows if has_row else containers).append(record)
    return Profile(
        provenance=provenance,
        total=_totals(held.values(), sums),
        rows=tuple(rows),
        operators=_operators(sums.by_operator),
        unknown=tuple(
            UnknownOperator(name, calls.total(), tuple(sorted(calls))) for name, calls in sorted(sums.unknown.items())
        ),
        never_called=tuple(row.path for row in rows if _is_idle(facts[row.path], row)),
        containers=tuple(containers),
    )


def _add_up(events: Iterable[Event], registry: Registry) -> _Sums:
    sums = _Sums({}, {}, {})
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


def _row(module: ModuleFacts, held: Holdings, work: Work) -> ModuleRecord:
    return ModuleRecord(
        path=module.path,
        type=module.type,
        kind="leaf" if module.is_leaf else "direct",
        calls=module.calls,
        input_shape=module.input_shape,
        output_shape=module.output_shape,
        dtype=module.dtype,
        params=held.params,
        trainable_params=held.trainable_params,
        buffers=held.buffers,
        shared_with=held.shared_with,
        attrs=module.attrs,
        **{metric: work[metric] for metric in WORK},
    )


def _totals(held: Iterable[Holdings], sums: _Sums) -> Totals:
    everything = list(held)
    return Totals(
        params=sum(part.params for part in everything),
        trainable_params=sum(part.trainable_params for part in everything),
        buffers=sum(part.buffers for part in everything),
        param_bytes=sum(part.param_bytes for part in everything),
        buffer_bytes=sum(part.buffer_bytes for part in everything),
        lower_bound=bool(sums.unknown),
        **{metric: sum(work[metric] for work in sums.by_module.values()) for metric in WORK},
    )


def _operators(by_operator: dict[str, Work]) -> tuple[OperatorTotal, ...]:
    """Operators, the dearest first."""
    totals = [
        OperatorTotal(name, work["calls"], work["madds"], work["flops"], work["mem_read"], work["mem_write"])
        for name, work in by_operator.items()
    ]
    return tuple(sorted(totals, key=lambda total: (-total.flops, -total.madds, -total.calls, total.op)))


def _is_idle(module: ModuleFacts, row: ModuleRecord) -> bool:
    """Never called, did no work, and no operator read its parameters (a functional call may)."""
    return not (row.calls or row.flops or row.mem_read or any(tensor.touched for tensor in module.parameters))
