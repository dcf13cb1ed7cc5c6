"""Explain a module's or an operator's numbers: every call behind them, with its formula and the numbers put in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torchstat_cli.calculators.derivation import terms, with_names
from torchstat_cli.calculators.registry import Registry
from torchstat_cli.calculators.traffic import traffic
from torchstat_cli.records import Event, ModuleFacts, OpRecord, Recording, TensorRecord
from torchstat_cli.records.explanation import CallCost, Derivation, Explanation, HeldTensor

_LONGEST_LIST = 8
"""Items of a plain list that are written out."""


def explain_module(recording: Recording, path: str, registry: Registry) -> Explanation:
    """What the module ``path`` and everything below it cost, and why.

    Raises:
        KeyError: there is no such module.
        FormulaError: a formula raised.
    """
    facts = {module.path: module for module in recording.modules}
    module = facts[path]
    inside = f"{path}." if path else ""
    events = list(_phased(recording))
    return Explanation(
        what=path,
        kind="module",
        type=module.type,
        calls_of_module=module.calls,
        input_shape=module.input_shape,
        output_shape=module.output_shape,
        parameters=_held(recording, module),
        own=_explained(events, lambda event: event.path == path, registry),
        below=_explained(events, lambda event: event.path != path and event.path.startswith(inside), registry),
    )


def explain_operator(recording: Recording, operator: str, registry: Registry) -> Explanation:
    """What every call of ``operator`` costs, and why.

    Raises:
        FormulaError: a formula raised.
    """
    calls = _explained(list(_phased(recording)), lambda event: event.op.name == operator, registry)
    return Explanation(operator, "operator", operator, 0, (), (), (), calls, ())


def operators_of(recording: Recording) -> list[str]:
    """Every operator that ran, in order of execution."""
    return list(dict.fromkeys(event.op.name for event in recording.events))


def _phased(recording: Recording) -> Iterable[tuple[str | None, Event]]:
    """The calls that a profile counts, each with the phase of the training step."""
    if recording.setup is None:
        yield from ((None, event) for event in recording.events)
        return
    last = max(part.step for part in recording.training)
    for part in recording.training:
        if part.step == last:
            yield from ((part.phase, event) for event in part.events)


def _explained(
    events: list[tuple[str | None, Event]], wanted: Callable[[Event], bool], registry: Registry
) -> tuple[CallCost, ...]:
    """The wanted calls; equal ones of one phase are explained together."""
    groups: dict[tuple[str | None, int], list[Event]] = {}
    for phase, event in events:
        if wanted(event):
            groups.setdefault((phase, id(event.op)), []).append(event)
    return tuple(_call(phase, equal, registry) for (phase, _), equal in groups.items())


def _call(phase: str | None, events: list[Event], registry: Registry) -> CallCost:
    op = events[0].op
    entry = registry.entry(op.name, op.overload, op.tags)
    return CallCost(
        operator=op.name,
        phase=phase,
        paths=tuple(dict.fromkeys(event.path for event in events)),
        calls=sum(event.calls for event in events),
        given=tuple(_given(op)),
        made=tuple(_shown(tensor) for tensor in op.outputs),
        words=None if entry is None else entry.words,
        convention="" if entry is None else entry.convention,
        source="" if entry is None else entry.source,
        numbers=_numbers(op, registry),
    )


def _numbers(op: OpRecord, registry: Registry) -> dict[str, Derivation]:
    """The numbers of one call, by the names of their columns."""
    sized = with_names(op)
    cost, moved = registry.cost(sized), traffic(sized)
    numbers = {}
    if cost is not None:
        known = {id(cost.madds): "MAdds"} if cost.madds else {}
        numbers["madds"] = _derivation(cost.madds, {})
        numbers["flops"] = _derivation(cost.flops, known)
    numbers["mem_read"] = _derivation(moved.read, {})
    numbers["mem_write"] = _derivation(moved.written, {})
    return numbers


def _derivation(value: int, known: Mapping[int, str]) -> Derivation:
    return Derivation(int(value), terms(value, known))


def _held(recording: Recording, module: ModuleFacts) -> tuple[HeldTensor, ...]:
    """The module's own parameters, tied ones with the module that counts them."""
    owners: dict[int, str] = {}
    for other in recording.modules:
        for tensor in other.parameters:
            owners.setdefault(tensor.key, other.path)
    held = []
    seen: set[int] = set()
    for tensor in module.parameters:
        counts_here = owners[tensor.key] == module.path and tensor.key not in seen
        seen.add(tensor.key)
        held.append(HeldTensor(tensor.name, tensor.numel, None if counts_here else owners[tensor.key]))
    return tuple(held)


def _given(op: OpRecord) -> Iterable[str]:
    """The arguments that say something, as people write them."""
    for name, value in op.arguments.items():
        if value is not None and value is not False and not (isinstance(value, (tuple, list)) and not value):
            yield f"{'input' if name == 'self' else name} {_shown(value)}"


def _shown(value: Any) -> str:
    if isinstance(value, TensorRecord):
        stored = "" if value.nnz is None else f", {value.nnz:,} stored"
        shape = "x".join(str(int(size)) for size in value.shape) or "()"
        return f"{shape} {value.dtype}{stored}"
    if isinstance(value, (tuple, list)):
        texts = [_shown(item) for item in value[:_LONGEST_LIST]]
        more = [f"and {len(value) - _LONGEST_LIST} more"] if len(value) > _LONGEST_LIST else []
        plain = all(isinstance(item, int) for item in value)
        return "x".join(texts) if plain and not more else f"[{', '.join([*texts, *more])}]"
    return "yes" if value is True else str(value)
