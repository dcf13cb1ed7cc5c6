"""How the numbers of a module or operator come about, as text or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from torchstat_cli.records import COSTS, RULES, SCHEMA, Profile
from torchstat_cli.records.explanation import CallCost, Derivation, Explanation, HeldTensor
from torchstat_cli.report.cleaning import cleaned
from torchstat_cli.report.layout import Column, table_lines
from torchstat_cli.report.names import shown_path
from torchstat_cli.report.terminal import Terminal, styled, to_ascii
from torchstat_cli.report.width import wrap
from torchstat_cli.units import format_bytes, format_count, format_shape

FORMATS = ("table", "json")

_HEADINGS = {"madds": "MAdds", "flops": "FLOPs", "mem_read": "MemRead", "mem_write": "MemWrite"}
_FREE = "free by definition"
_BYTES = ("mem_read", "mem_write")
_LABEL = 12
"""Cells before what a line says."""

_ASCII = str.maketrans({"÷": "/", "⌈": "ceil(", "⌉": ")", "₂": "2"})
_PATHS_SHOWN = 4


class Explained(Explanation):
    """An explanation that can show itself; prints as text."""

    @classmethod
    def of(cls, profile: Profile) -> Explained:
        """What ``profile`` explains."""
        assert profile.explanation is not None
        return cls(*profile.explanation)

    def total(self, column: str) -> int:
        """The sum of all calls: "madds", "flops", "mem_read" or "mem_write"."""
        return _sum(self.everything, column)

    def __str__(self) -> str:
        return "\n".join(_lines(self, Terminal()))


def render(profile: Profile, form: str = "table", terminal: Terminal | None = None) -> str:
    """What ``profile`` explains, as ``"table"`` or ``"json"``."""
    assert profile.explanation is not None
    if form == "json":
        return _json(profile, profile.explanation)
    return "".join(f"{line}\n" for line in _lines(profile.explanation, terminal or Terminal()))


def _lines(given: Explanation, terminal: Terminal) -> Iterator[str]:
    """The text: what it is, its own calls in full, all calls by operator where there are more, the sum."""
    explanation = cleaned(given)
    yield from _heading(explanation, terminal)
    costless = [call for call in explanation.own if call.words and not any(map(call.total, _HEADINGS))]
    for call in explanation.own:
        if call not in costless or explanation.kind == "operator":
            yield ""
            yield from _call(call, explanation, terminal)
    if costless and explanation.kind == "module":
        yield ""
        yield from _line("free", _counted(costless), terminal)
    if explanation.below:
        yield ""
        yield from _by_operator(explanation, terminal)
    yield ""
    yield from _closing(explanation, terminal)


def _heading(explanation: Explanation, terminal: Terminal) -> Iterator[str]:
    if explanation.kind == "operator":
        calls = sum(call.calls for call in explanation.own)
        yield _bold(f"{explanation.what}: {_times(calls)} in {len(_paths(explanation.own))} modules", terminal)
        return
    ran = f"called {_times(explanation.calls_of_module)}" if explanation.calls_of_module else "never called itself"
    yield _bold(f"{shown_path(explanation.what)}: {explanation.type}, {ran}", terminal)
    if explanation.calls_of_module:
        yield from _line(
            "shapes", f"{_shapes(explanation.input_shape)} → {_shapes(explanation.output_shape)}", terminal
        )
    if explanation.parameters:
        yield from _line("params", _parameters(explanation), terminal)


def _parameters(explanation: Explanation) -> str:
    parts = []
    for tensor in explanation.parameters:
        tied = "" if tensor.counted_in is None else f", counted in {shown_path(tensor.counted_in)}"
        parts.append(f"{tensor.numel:,} ({tensor.name}{tied})")
    counted = [tensor.numel for tensor in explanation.parameters if tensor.counted_in is None]
    return f"{' + '.join(parts)} = {sum(counted):,}" if len(parts) > 1 else parts[0]


def _call(call: CallCost, explanation: Explanation, terminal: Terminal) -> Iterator[str]:
    """One kind of call: formula, numbers put in, results."""
    title = call.operator if call.phase is None else f"{call.operator}, {call.phase}"
    yield _bold(title if call.calls == 1 else f"{title}, {_times(call.calls)}", terminal)
    if explanation.kind == "operator":
        yield from _line("in", _some([shown_path(path) for path in call.paths]), terminal)
    yield from _line("given", ", ".join(call.given) or "nothing", terminal)
    yield from _line("result", ", ".join(call.made) or "none", terminal)
    is_free = call.convention == _FREE
    words = f"{_FREE}: {call.words}" if is_free else call.words
    yield from _line("formula", words or "none: MAdds and FLOPs are unknown, and totals are lower bounds", terminal)
    for column, heading in _HEADINGS.items():
        if column in call.numbers and (call.numbers[column].value or (column == "flops" and not is_free)):
            yield from _line(heading, _worked_out(call.numbers[column], call.calls, column), terminal)
    if call.words and not is_free:
        yield from _line("counts", f"{call.convention}; source: {call.source}", terminal)


def _counted(calls: Sequence[CallCost]) -> str:
    """Operators that neither compute nor move anything, with their calls."""
    times: dict[str, int] = {}
    for call in calls:
        times[call.operator] = times.get(call.operator, 0) + call.calls
    return ", ".join(name if count == 1 else f"{name} {count:,} times" for name, count in times.items())


def _worked_out(number: Derivation, calls: int, column: str) -> str:
    """``24 × 10 (rows) = 240``, and for several calls their sum."""
    unit = " bytes" if column in _BYTES else ""
    value = f"{number.value:,}{unit}"
    text = value if number.terms is None or number.terms == f"{number.value:,}" else f"{number.terms} = {value}"
    return text if calls == 1 else f"{text}; × {calls:,} calls = {calls * number.value:,}{unit}"


def _by_operator(explanation: Explanation, terminal: Terminal) -> Iterator[str]:
    """All calls by operator and phase, the dearest first, and their sum."""
    groups: dict[tuple[str, str], list[CallCost]] = {}
    for call in explanation.everything:
        groups.setdefault((call.phase or "", call.operator), []).append(call)
    ordered = sorted(groups.items(), key=lambda item: -_sum(item[1], "flops"))
    phases = any(phase for phase, _ in groups)
    rows = [_row("operator", "phase", ["calls", *_HEADINGS.values()], phases)]
    for (phase, operator), calls in ordered:
        numbers = [sum(call.calls for call in calls), *(_sum(calls, column) for column in _HEADINGS)]
        rows.append(_row(operator, phase, [f"{number:,}" for number in numbers], phases))
    whole = [sum(call.calls for call in explanation.everything)]
    whole += [_sum(explanation.everything, column) for column in _HEADINGS]
    rows.append(_row("sum", "", [f"{number:,}" for number in whole], phases))
    columns = [Column(gap=0), *[Column()] * phases, *[Column("right")] * (len(_HEADINGS) + 1)]
    heading, *body, total = table_lines(rows, columns)
    rule = ("-" if terminal.ascii else "─") * max(map(len, (heading, *body, total)))
    yield _bold(heading, terminal)
    yield from (rule, *body, rule, total)


def _row(name: str, phase: str, numbers: Sequence[str], phases: bool) -> tuple[str, ...]:
    return (name, phase, *numbers) if phases else (name, *numbers)


def _closing(explanation: Explanation, terminal: Terminal) -> Iterator[str]:
    """The sum, and where to look further."""
    parts = []
    for column, heading in _HEADINGS.items():
        value = _sum(explanation.everything, column)
        shown = format_bytes(value) if column in _BYTES else format_count(value)
        parts.append(f"{heading} {value:,} ({shown})" if shown != str(value) else f"{heading} {value:,}")
    unknown = sorted({call.operator for call in explanation.everything if call.words is None})
    yield from _line("sum", ", ".join(parts), terminal)
    if unknown:
        yield from _line("lower bound", f"no formula for {_some(unknown)}", terminal)
    if explanation.below:
        dearest = max(explanation.below, key=lambda call: call.total("flops"))
        names = f"{shown_path(dearest.paths[0])} or {dearest.operator}"
        yield from _line("numbers", f"what is put into a formula is shown for a part: {names}", terminal)
    elif not explanation.everything:
        yield from _line("why", "no operator ran in it, so that it costs nothing but its parameters", terminal)


def _line(label: str, text: str, terminal: Terminal) -> Iterator[str]:
    """A labelled text, wrapped below itself where the terminal is narrower."""
    plain = to_ascii(text.translate(_ASCII)) if terminal.ascii else text
    room = None if terminal.width is None else max(20, terminal.width - _LABEL - 2)
    first, *rest = [plain] if room is None else wrap(plain, room)
    yield f"  {label:<{_LABEL - 2}}{first}"
    for line in rest:
        yield f"{'':<{_LABEL}}{line}"


def _bold(text: str, terminal: Terminal) -> str:
    plain = to_ascii(text) if terminal.ascii else text
    return styled(plain, "bold") if terminal.color else plain


def _times(calls: int) -> str:
    return "1 time" if calls == 1 else f"{calls:,} times"


def _shapes(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join(map(format_shape, shapes)) or "nothing"


def _paths(calls: Sequence[CallCost]) -> set[str]:
    return {path for call in calls for path in call.paths}


def _some(names: Sequence[str]) -> str:
    more = [f"and {len(names) - _PATHS_SHOWN} more"] if len(names) > _PATHS_SHOWN else []
    return ", ".join([*names[:_PATHS_SHOWN], *more])


def _sum(calls: Sequence[CallCost], column: str) -> int:
    return sum(call.total(column) for call in calls)


def _json(profile: Profile, explanation: Explanation) -> str:
    origin = profile.provenance
    report = {
        "schema": SCHEMA,
        "rules": RULES,
        "tool": "modelstat explain",
        "version": origin.version,
        "torch": origin.torch,
        "model": {"spec": origin.spec, "resolved": origin.resolved, "class": origin.class_name},
        "what": explanation.what,
        "kind": explanation.kind,
        "type": explanation.type,
        "calls_of_module": explanation.calls_of_module,
        "parameters": [_values(tensor) for tensor in explanation.parameters],
        "totals": {column: _sum(explanation.everything, column) for column in COSTS},
        "calls": [_call_values(call) for call in explanation.everything],
    }
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"


def _call_values(call: CallCost) -> dict[str, object]:
    numbers = {name: _values(number) for name, number in call.numbers.items()}
    return {**_values(call), "numbers": numbers}


def _values(record: CallCost | Derivation | HeldTensor) -> dict[str, object]:
    return dict(zip(type(record).__annotations__, record, strict=True))
