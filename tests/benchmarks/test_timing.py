"""The measuring helpers, with a clock of our own."""

from __future__ import annotations

import sys

import pytest

from benchmarks.timing import ProcessFailedError, interleave, interleave_processes, median_ratio, run_process


def test_interleave_runs_every_action_in_every_round_in_turn() -> None:
    calls: list[str] = []
    now = 0.0

    def clock() -> float:
        return now

    def spend(name: str, seconds: float) -> None:
        nonlocal now
        now += seconds
        calls.append(name)

    seconds = interleave({"a": lambda: spend("a", 1.0), "b": lambda: spend("b", 3.0)}, 2, warm_up=1, clock=clock)

    assert seconds == {"a": (1.0, 1.0), "b": (3.0, 3.0)}
    assert calls == ["a", "b", "a", "b", "a", "b"]  # one warm-up of each, then the rounds


def test_interleave_refuses_no_rounds() -> None:
    with pytest.raises(ValueError, match="rounds must be at least 1, got 0"):
        interleave({}, 0)


def test_median_ratio_pairs_the_rounds() -> None:
    # Round by round 0.5, 3 and 9; the ratio of the medians would be 9 / 2.
    assert median_ratio((1.0, 30.0, 9.0), (2.0, 10.0, 1.0)) == 3.0


def test_median_ratio_refuses_unpaired_rounds() -> None:
    with pytest.raises(ValueError, match="shorter"):
        median_ratio((1.0, 2.0), (1.0,))


def test_run_process_reports_output_time_and_peak() -> None:
    run = run_process(
        (sys.executable, "-S", "-c", "block = bytearray(64 * 2**20); block[::4096] = b'x' * 16384; print(42)")
    )
    assert run.output == "42\n"
    assert run.peak_bytes >= 64 * 2**20
    assert run.wall_s > 0
    assert run.cpu_s > 0


def test_run_process_tells_why_a_process_failed() -> None:
    with pytest.raises(ProcessFailedError, match=r"status 3: no such model"):
        run_process((sys.executable, "-S", "-c", "import sys; print('no such model', file=sys.stderr); sys.exit(3)"))


def test_interleave_processes_leaves_the_first_round_out() -> None:
    runs = interleave_processes({"one": (sys.executable, "-S", "-c", "print(1)")}, 1)
    assert [run.output for run in runs["one"]] == ["1\n"]
