"""From events to rows, operators, unknowns and totals; every number by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.calculators.making import make_op, tensor
from tests.report.profiles import PROVENANCE
from torchstat_cli.calculators import Registry, user_registry
from torchstat_cli.calculators.assemble import assemble
from torchstat_cli.errors import FormulaError
from torchstat_cli.records import SUMMED, Cost, Event, ModuleFacts, OpRecord, OwnedTensor, Profile, Recording

INPUT, WEIGHT, OUTPUT = tensor(2, 4), tensor(3, 4), tensor(2, 3)
LINEAR = make_op("aten.linear", OUTPUT, input=INPUT, weight=WEIGHT, bias=None)
"""24 MAdds, 48 FLOPs; reads 32 + 48 bytes, writes 24 into 24 new ones."""
STRANGE = make_op("mylib.strange", OUTPUT, x=INPUT)
"""No formula; reads 32 bytes, writes 24."""


def facts(path: str, *, leaf: bool = True, calls: int = 1, params: int = 0, touched: bool = False) -> ModuleFacts:
    parameters = (OwnedTensor("weight", hash(path), params, 4 * params, True, touched),) if params else ()
    return ModuleFacts(path, "Module", leaf, calls, ((2, 4),), ((2, 3),), "float32", {"k": 1}, parameters, ())


def assembled(modules: list[ModuleFacts], *events: tuple[OpRecord, str, int], **changes: Any) -> Profile:
    order = tuple(module.path for module in modules)
    recording = Recording(tuple(modules), order, tuple(Event(*event) for event in events), **changes)
    return assemble(recording, PROVENANCE, user_registry().child())


def test_work_lands_where_it_ran_times_its_calls() -> None:
    report = assembled([facts("", leaf=False), facts("a", params=12), facts("b")], (LINEAR, "a", 2), (LINEAR, "b", 1))
    a, b = report.rows
    assert (a.path, a.madds, a.flops, a.mem_read, a.mem_write, a.memory) == ("a", 48, 96, 160, 48, 48)
    assert (b.path, b.madds, b.flops) == ("b", 24, 48)
    assert (a.params, a.input_shape, a.output_shape, a.attrs) == (12, ((2, 4),), ((2, 3),), {"k": 1})
    for column in SUMMED:
        assert getattr(report.total, column) == getattr(a, column) + getattr(b, column)


def test_container_gets_a_row_only_for_what_is_its_own() -> None:
    idle = assembled([facts("", leaf=False), facts("a")], (LINEAR, "a", 1))
    assert [row.path for row in idle.rows] == ["a"]
    assert [row.path for row in idle.containers] == [""]
    for own in (assembled([facts("", leaf=False, params=3)]), assembled([facts("", leaf=False)], (LINEAR, "", 1))):
        assert [(row.path, row.kind) for row in own.rows] == [("", "direct")]


def test_unknown_operators_are_listed_and_make_totals_lower_bounds() -> None:
    modules = [facts("", leaf=False), facts("a"), facts("b")]
    report = assembled(modules, (STRANGE, "b", 2), (STRANGE, "a", 1), (LINEAR, "a", 1))
    (unknown,) = report.unknown
    assert (unknown.op, unknown.calls, unknown.paths) == ("mylib.strange", 3, ("a", "b"))
    assert report.total.lower_bound
    assert (report.total.madds, report.total.mem_read) == (24, 3 * 32 + 80)


def test_container_that_runs_an_unknown_operator_has_a_row() -> None:
    empty = make_op("mylib.strange", tensor(0), x=tensor(0))
    report = assembled([facts("", leaf=False), facts("a")], (empty, "", 1))
    assert [row.path for row in report.rows] == ["", "a"]


def test_operators_come_dearest_first() -> None:
    relu = make_op("aten.relu", OUTPUT, self=OUTPUT)
    report = assembled([facts("a")], (relu, "a", 3), (STRANGE, "a", 1), (LINEAR, "a", 1))
    assert [(entry.op, entry.calls, entry.flops) for entry in report.operators] == [
        ("aten.linear", 1, 48),
        ("aten.relu", 3, 18),
        ("mylib.strange", 1, 0),
    ]


def test_never_called_modules_are_named_unless_their_parameters_were_read() -> None:
    modules = [facts("used"), facts("idle", calls=0, params=5), facts("functional", calls=0, params=5, touched=True)]
    report = assembled(modules, (LINEAR, "used", 1))
    assert report.never_called == ("idle",)
    assert report.total.params == 10


def test_rows_follow_the_recorded_order() -> None:
    modules = (facts("a"), facts("b"), facts("c"))
    recording = Recording(modules, ("c", "a", "b"), ())
    assert [row.path for row in assemble(recording, PROVENANCE, user_registry()).rows] == ["c", "a", "b"]


def test_own_formula_replaces_unknown() -> None:
    registry = user_registry().child()
    modules, events = (facts("a"),), (Event(STRANGE, "a", 2),)
    assert assemble(Recording(modules, ("a",), events), PROVENANCE, registry).unknown

    @registry.formula("mylib::strange")
    def strange(op: OpRecord) -> Cost:
        """7 per call."""
        return Cost(madds=3, flops=7)

    report = assemble(Recording(modules, ("a",), events), PROVENANCE, registry)
    assert (report.unknown, report.total.flops, report.total.madds) == ((), 14, 6)


def test_registries_do_not_answer_for_one_another() -> None:
    cheap, dear = Registry(), Registry()
    cheap.formula("aten.linear", words="1")(lambda op: Cost(flops=1))
    dear.formula("aten.linear", words="9")(lambda op: Cost(flops=9))
    recording = Recording((facts("a"),), ("a",), (Event(LINEAR, "a", 1),))
    assert [assemble(recording, PROVENANCE, registry).total.flops for registry in (cheap, dear, cheap)] == [1, 9, 1]


def test_formula_that_fails_is_an_error_every_time() -> None:
    registry = user_registry().child()
    registry.formula("mylib::strange", words="broken")(lambda op: Cost(flops=op.tensor("missing").numel))
    recording = Recording((facts("a"),), ("a",), (Event(STRANGE, "a", 1),))
    for _ in range(2):
        with pytest.raises(FormulaError, match=r"mylib\.strange.*failed: KeyError"):
            assemble(recording, PROVENANCE, registry)


def test_nothing_ran() -> None:
    report = assembled([facts("", calls=0)])
    assert (report.total.flops, report.operators, report.unknown, report.never_called) == (0, (), (), ("",))
    assert not report.total.lower_bound
