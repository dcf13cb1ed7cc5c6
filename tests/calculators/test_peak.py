"""Peaks of logs written by hand."""

from __future__ import annotations

import pytest

from torchstat_cli.calculators.peak import memory_profile, module_memory
from torchstat_cli.records import Block, Frame, MemoryLog, ModuleMemory, Phase, PhasePeak, Share

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
    assert memory.phases == (PhasePeak(1, "forward", 130, 0), PhasePeak(1, "backward", 138, 3))


def test_largest_holders_at_the_peak_include_what_its_own_operator_made() -> None:
    """At operator 3: what ``tanh`` made is gone, what ``mul`` makes is there."""
    assert memory_profile(LOG).largest == (
        Share("a", "parameter", 100),
        Share("b", "activation", 20),
        Share("a", "activation", 10),
        Share("b", "gradient", 5),
        Share("b", "temporary", 3),
    )


FREED = MemoryLog(
    blocks=(
        Block(60, "parameter", 0, 6, "", "", None),
        Block(90, None, 1, 3, "a", "aten.mm", 0),  # gone when the backward pass begins
        Block(10, "gradient", 3, 6, "a", "aten.mm", None),
        Block(20, None, 5, 6, "a", "aten.mul", None),
    ),
    frames=(Frame("a", 0, 3),),
    phases=(
        Phase(1, "forward", 0, 3),
        Phase(1, "backward", 3, 4),
        Phase(2, "forward", 4, 5),
        Phase(2, "backward", 5, 6),
    ),
    operators=(("a", "aten.t"), ("a", "aten.mm"), ("a", "aten.relu"), *(("a", "aten.mm"),) * 2, ("a", "aten.mul")),
)


def test_phase_begins_with_what_is_left_of_the_one_before() -> None:
    """60, then 150 from operator 1 on, 70 from 3 on (nothing changes at 4), 90 at the last."""
    memory = memory_profile(FREED)
    assert [part.nbytes for part in memory.phases] == [150, 70, 70, 90]
    assert (memory.peak.index, memory.step, memory.phase) == (1, 1, "forward")
    assert memory.largest == (Share("a", "temporary", 90), Share("", "parameter", 60))


def test_what_ends_with_the_operator_before_the_peak_is_not_there() -> None:
    blocks = (
        Block(10, "activation", 0, 2, "a", "aten.mm", None),
        Block(20, "activation", 1, 3, "b", "aten.mm", None),
        Block(30, "activation", 2, 3, "c", "aten.mm", None),
    )
    memory = memory_profile(MemoryLog(blocks, (), (), (("a", "aten.mm"), ("b", "aten.mm"), ("c", "aten.mm"))))
    assert (memory.peak.index, memory.peak.total, memory.step, memory.phase) == (2, 50, 1, "forward")
    assert memory.largest == (Share("c", "activation", 30), Share("b", "activation", 20))


def test_eight_holders_are_named() -> None:
    blocks = tuple(Block(size, "input", 0, 1, str(size), "", None) for size in range(1, 10))
    assert [share.nbytes for share in memory_profile(MemoryLog(blocks, (), (), ())).largest] == [9, 8, 7, 6, 5, 4, 3, 2]


@pytest.mark.parametrize(
    ("frame", "outlives", "start", "end", "kind"),
    [
        (0, True, 1, 3, "activation"),  # its module call ended before
        (0, False, 1, 3, "temporary"),
        (0, True, 1, 2, "activation"),  # also where the forward pass frees it
        (None, False, 1, 3, "activation"),  # the loss, which the backward pass needs
        (None, False, 1, 2, "temporary"),  # freed with the last operator of the forward pass
        (None, False, 2, 4, "temporary"),  # made by the backward pass
    ],
)
def test_lifetime_tells_activations_from_temporaries(
    frame: int | None, outlives: bool, start: int, end: int, kind: str
) -> None:
    log = MemoryLog(
        blocks=(Block(7, None, start, end, "a", "aten.mm", frame, outlives),),
        frames=(Frame("a", 0, 1),),
        phases=(Phase(1, "forward", 0, 2), Phase(1, "backward", 2, 3)),
        operators=(("a", "aten.mm"),) * 3,
    )
    assert memory_profile(log).largest == (Share("a", kind, 7),)


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


def test_module_called_twice_shows_the_call_with_the_highest_peak() -> None:
    """``a`` peaks at 10 and then at 30, ``b`` at 40 and then at 35; where calls peak alike, the first counts."""
    blocks = (
        Block(10, None, 0, 5, "a", "aten.mm", 0, outlives=True),
        Block(20, None, 1, 5, "a", "aten.mm", 1, outlives=True),
        Block(10, None, 2, 3, "b", "aten.mm", 2),
        Block(5, None, 3, 5, "b", "aten.mm", 3, outlives=True),
    )
    calls = (("a", 0, 1), ("a", 1, 2), ("b", 2, 3), ("b", 3, 4), ("c", 2, 3), ("c", 2, 4))
    live = module_memory(MemoryLog(blocks, tuple(Frame(*call) for call in calls), (), (("", "aten.mm"),) * 4))
    assert live["a"] == ModuleMemory(entry=10, peak=30, kept=20)
    assert live["b"] == ModuleMemory(entry=30, peak=40, kept=0)
    assert live["c"] == ModuleMemory(entry=30, peak=40, kept=0)


def test_last_module_keeps_what_lives_to_the_end() -> None:
    blocks = (Block(10, None, 0, 3, "a", "aten.mm", 0, outlives=True), Block(4, "gradient", 1, 3, "", "", None))
    live = module_memory(MemoryLog(blocks, (Frame("a", 0, 2),), (), (("a", "aten.mm"),) * 2))
    assert live["a"] == ModuleMemory(entry=0, peak=14, kept=14)


def test_blocks_that_no_operator_saw_count_nowhere() -> None:
    """A storage that was resized before anything ran on it."""
    seen = Block(10, "input", 0, 3, "", "", None)
    unseen = Block(50, None, 1, 1, "a", "aten.mm", None)
    log = MemoryLog((seen, unseen), (Frame("a", 1, 2),), (), (("a", "aten.mm"),) * 2)
    assert module_memory(log)["a"] == ModuleMemory(entry=10, peak=10, kept=0)
    assert [(moment.index, moment.total) for moment in memory_profile(log).timeline] == [(0, 10)]


def test_a_run_that_holds_nothing_has_a_peak_of_nothing() -> None:
    memory = memory_profile(MemoryLog((), (), (), ()))
    assert [(moment.index, moment.total) for moment in memory.timeline] == [(0, 0)]
    assert (memory.peak.total, memory.largest) == (0, ())


def test_a_run_without_operators_holds_what_was_given() -> None:
    log = MemoryLog((Block(64, "input", 0, 1, "", "", None),), (Frame("", 0, 0),), (Phase(1, "forward", 0, 0),), ())
    memory = memory_profile(log)
    assert [(moment.index, moment.total) for moment in memory.timeline] == [(0, 64)]
    assert memory.phases[0].nbytes == 64
    assert module_memory(log)[""] == ModuleMemory(64, 64, 0)
