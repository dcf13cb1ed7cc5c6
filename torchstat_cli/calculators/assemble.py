"""From a recording to a profile: every operator's cost, added up where it ran."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from torchstat_cli.calculators.params import Holdings, holdings
from torchstat_cli.calculators.peak import memory_profile, module_memory
from torchstat_cli.calculators.registry import Registry
from torchstat_cli.calculators.training import module_training, training_profile
from torchstat_cli.calculators.work import WORK, Sums, Work, add_up
from torchstat_cli.records import (
    SUMMED,
    ModuleFacts,
    ModuleRecord,
    OperatorTotal,
    Profile,
    Provenance,
    Recording,
    Totals,
    TrainingCost,
    UnknownOperator,
)

_NO_WORK = Work()


def assemble(recording: Recording, provenance: Provenance, registry: Registry) -> Profile:
    """The profile of one recording. Rows sum exactly to the totals.

    Raises:
        FormulaError: a formula raised.
    """
    sums = add_up(recording.events, registry)
    held = holdings(recording.modules)
    facts = {module.path: module for module in recording.modules}
    rows: list[ModuleRecord] = []
    containers: list[ModuleRecord] = []
    with_unknown = {path for calls in sums.unknown.values() for path in calls}
    for path in recording.order:
        record = _row(facts[path], held[path], sums.by_module.get(path, _NO_WORK))
        has_row = record.kind == "leaf" or path in with_unknown or any(map(record.__getattribute__, SUMMED))
        (rows if has_row else containers).append(record)
    profile = Profile(
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
    return _with_memory(_with_training(profile, recording, registry), recording)


def _with_training(profile: Profile, recording: Recording, registry: Registry) -> Profile:
    """The same profile with its rows divided into the phases of a training step, where the run trained."""
    if recording.setup is None:
        return profile
    costs = module_training(recording, registry)
    rows = tuple(replace(row, training=costs.get(row.path, TrainingCost())) for row in profile.rows)
    training = training_profile(recording, recording.setup, registry)
    total = replace(profile.total, training=training.total)
    return replace(profile, rows=rows, total=total, training=training)


def _with_memory(profile: Profile, recording: Recording) -> Profile:
    """The same profile with the memory at every module and the peak, where the run watched memory."""
    if recording.memory is None:
        return profile
    live = module_memory(recording.memory)
    memory = memory_profile(recording.memory)
    return replace(
        profile,
        rows=tuple(replace(row, live=live.get(row.path)) for row in profile.rows),
        containers=tuple(replace(row, live=live.get(row.path)) for row in profile.containers),
        total=replace(profile.total, peak=memory.peak.total),
        memory=memory,
    )


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
        live=None,
        training=None,
        madds=work.madds,
        flops=work.flops,
        mem_read=work.mem_read,
        mem_write=work.mem_write,
        memory=work.memory,
    )


def _totals(held: Iterable[Holdings], sums: Sums) -> Totals:
    everything, whole = list(held), sums.whole
    return Totals(
        params=sum(part.params for part in everything),
        trainable_params=sum(part.trainable_params for part in everything),
        buffers=sum(part.buffers for part in everything),
        param_bytes=sum(part.param_bytes for part in everything),
        buffer_bytes=sum(part.buffer_bytes for part in everything),
        lower_bound=bool(sums.unknown),
        training=None,
        **{metric: getattr(whole, metric) for metric in WORK},
    )


def _operators(by_operator: dict[str, Work]) -> tuple[OperatorTotal, ...]:
    """Operators, the dearest first."""
    totals = [
        OperatorTotal(name, work.calls, work.madds, work.flops, work.mem_read, work.mem_write)
        for name, work in by_operator.items()
    ]
    return tuple(sorted(totals, key=lambda total: (-total.flops, -total.madds, -total.calls, total.op)))


def _is_idle(module: ModuleFacts, row: ModuleRecord) -> bool:
    """Never called, did no work, and no operator read its parameters (a functional call may)."""
    return not (row.calls or row.flops or row.mem_read or any(tensor.touched for tensor in module.parameters))
