"""From a recording to a profile: every operator's cost, added up where it ran."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torchstat_cli.calculators.experts.mixtures import active_params, mixtures
from torchstat_cli.calculators.params import Holdings, holdings
from torchstat_cli.calculators.peak import memory_profile, module_memory
from torchstat_cli.calculators.precision import precision
from torchstat_cli.calculators.registry import Registry
from torchstat_cli.calculators.training import StepCosts
from torchstat_cli.calculators.work import Sums, Tally, add_up
from torchstat_cli.records import (
    SUMMED,
    MemoryProfile,
    Mixture,
    ModuleFacts,
    ModuleMemory,
    ModuleRecord,
    OperatorTotal,
    Profile,
    Provenance,
    Recording,
    Totals,
    TrainingCost,
    TrainingProfile,
    UnknownOperator,
    costs_of,
)

_NO_WORK = Tally()


def assemble(recording: Recording, provenance: Provenance, registry: Registry) -> Profile:
    """The profile of one recording. Rows sum exactly to the totals.

    Raises:
        FormulaError: a formula raised.
    """
    sums = add_up(recording.events, registry)
    held = holdings(recording.modules)
    live = {} if recording.memory is None else module_memory(recording.memory)
    steps = None if recording.setup is None else StepCosts(recording, recording.setup, registry)
    facts = {module.path: module for module in recording.modules}
    rows: list[ModuleRecord] = []
    containers: list[ModuleRecord] = []
    with_unknown = {path for calls in sums.unknown.values() for path in calls}
    for path in recording.order:
        trained = None if steps is None else steps.of(path)
        record = _row(facts[path], held[path], sums.by_module.get(path, _NO_WORK), live.get(path), trained)
        has_row = record.kind == "leaf" or path in with_unknown or any(map(record.__getattribute__, SUMMED))
        (rows if has_row else containers).append(record)
    training = None if steps is None else steps.profile()
    memory = None if recording.memory is None else memory_profile(recording.memory)
    found = mixtures(recording) or ()
    return Profile(
        provenance=provenance,
        total=_totals(held.values(), sums, training, memory, found),
        rows=tuple(rows),
        operators=_operators(sums.by_operator),
        unknown=tuple(
            UnknownOperator(name, calls.total(), tuple(sorted(calls))) for name, calls in sorted(sums.unknown.items())
        ),
        never_called=tuple(row.path for row in rows if _is_idle(facts[row.path], row)),
        containers=tuple(containers),
        training=training,
        memory=memory,
        mixtures=found,
        precision=precision(recording.modules, sums.compute, recording.setup),
    )


def _row(
    module: ModuleFacts, held: Holdings, work: Tally, live: ModuleMemory | None, training: TrainingCost | None
) -> ModuleRecord:
    return ModuleRecord(
        module.path,
        module.type,
        "leaf" if module.is_leaf else "direct",
        module.calls,
        module.input_shape,
        module.output_shape,
        module.dtype,
        held.params,
        held.trainable_params,
        held.buffers,
        **work.by_name(),
        shared_with=held.shared_with,
        attrs=module.attrs,
        param_shapes=tuple([tensor.shape for tensor in module.parameters]),
        live=live,
        training=training,
    )


def _totals(
    held: Iterable[Holdings],
    sums: Sums,
    training: TrainingProfile | None,
    memory: MemoryProfile | None,
    found: Sequence[Mixture],
) -> Totals:
    everything, whole = list(held), sums.whole
    params = sum(part.params for part in everything)
    return Totals(
        params=params,
        active_params=active_params(params, found) if found else None,
        trainable_params=sum(part.trainable_params for part in everything),
        buffers=sum(part.buffers for part in everything),
        param_bytes=sum(part.param_bytes for part in everything),
        buffer_bytes=sum(part.buffer_bytes for part in everything),
        lower_bound=bool(sums.unknown),
        training=None if training is None else training.total,
        peak=None if memory is None else memory.peak.total,
        **whole.by_name(),
    )


def _operators(by_operator: dict[str, Tally]) -> tuple[OperatorTotal, ...]:
    """Operators, the most expensive first."""
    totals = [OperatorTotal(name, work.calls, **costs_of(work)) for name, work in by_operator.items()]
    return tuple(sorted(totals, key=lambda total: (-total.flops, -total.madds, -total.calls, total.op)))


def _is_idle(module: ModuleFacts, row: ModuleRecord) -> bool:
    """Never called, though that could be seen, no work, and no operator read its parameters (a functional call may)."""
    return not module.hidden and not (
        row.calls or row.flops or row.mem_read or any(tensor.touched for tensor in module.parameters)
    )
