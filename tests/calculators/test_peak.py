"""Peaks of logs written by hand."""

from __future__ import annotations

from torchstat_cli.calculators.peak import memory_profile, module_memory
from torchstat_cli.records import Block, Frame, MemoryLog, ModuleMemory, Phase

LOG = MemoryLog(
    blocks=(
        Block(100, "parameter", 0, 5, "a", "", None),
        Block(10, None, 0, 5, "a", "aten.mm", 1, outlives=True),  # made by operator 0, outlives its module
        Block(7, None, 1, 2, "a", "aten.tanh", 1),  # freed before its module ends
        Block(20, None, 2, 5, "b", "aten.mm", 2, outlives=True),
        Block(5, "gradient", 3, 5, "b", "aten.mm", None),
        Block(3, None, 3, 4, "b", "aten.mul", None),
    ),
    frames=(Frame("", 0, 3), Frame("a", 0, 2), Frame("b", 2, 3)),
    phases=(Phase(1, "forward", 0, 3), Phase(1, "backward", 3, 4)),
    operators=(("a", "aten.mm"), ("a", "aten.tanh"), ("b", "aten.mm"), ("b", "aten.mul")),
)


def test_peak_with_its_classes_and_place() -> None:
    memory = memory_profile(LOG)
    assert (memory.peak.total, memory.peak.index) == (138, 3)
    assert (memory.peak.path, memory.peak.op, memory.phase) == ("b", "aten.mul", "backward")
    assert {kind: nbytes for kind, nbytes in memory.at_peak().items() if nbytes} == {
        "parameter": 100,
        "activation": 30,
        "temporary": 3,
        "gradient": 5,
    }
    assert [part.nbytes for part in memory.phases] == [130, 138]
    assert (memory.largest[0].path, memory.largest[0].kind, memory.largest[0].nbytes) == ("a", "parameter", 100)


def test_timeline_has_one_moment_per_change() -> None:
    assert [(moment.index, moment.total) for moment in memory_profile(LOG).timeline] == [
        (0, 110),
        (1, 117),
        (2, 130),
        (3, 138),
    ]


def test_modules_by_their_calls() -> None:
    live = module_memory(LOG)
    assert live["a"] == ModuleMemory(entry=100, peak=117, kept=10)
    assert live["b"] == ModuleMemory(entry=110, peak=130, kept=20)
    assert live[""] == ModuleMemory(entry=100, peak=130, kept=30)


def test_a_run_without_operators_holds_what_was_given() -> None:
    log = MemoryLog((Block(64, "input", 0, 1, "", "", None),), (Frame("", 0, 0),), (Phase(1, "forward", 0, 0),), ())
    memory = memory_profile(log)
    assert memory.peak.total == 64
    assert memory.phases[0].nbytes == 64
    assert module_memory(log)[""] == ModuleMemory(64, 64, 0)
