"""The functions below travel to worker processes by name, so they stand at the top of this file."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from torchstat_cli.errors import ForwardError, ModelError
from torchstat_cli.gate.workers import Work, run_tasks

ROOT = Path(__file__).parents[2]


def nothing() -> None:
    """No preparation."""


def announce() -> None:
    os.write(1, f"prepared {os.getpid()}\n".encode())  # in one piece, unlike print


def die_early() -> None:
    os._exit(7)


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def behave(task: str) -> str:
    if task == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if task == "leave":
        os._exit(3)
    if task == "exit":
        raise SystemExit(5)
    if task == "hang":
        time.sleep(60)
    if task == "return twice":
        os.fork()  # the child goes on as if it were the worker
    if task.startswith("fork"):
        child = os.fork()
        if child == 0:
            time.sleep(60)
            os._exit(0)
        Path(task.removeprefix("fork ")).write_text(str(child))
        os._exit(3)
    if task == "die later":
        threading.Timer(0.05, os._exit, (4,)).start()
    if task == "raise":
        raise ForwardError("forward failed in 'x'", "mend it", path="x")
    if task == "bug":
        raise ZeroDivisionError("by zero")
    if task == "mute":
        raise MuteError
    if task == "cancel":
        raise asyncio.CancelledError("later")
    if task == "interrupt":
        raise KeyboardInterrupt
    if task == "shout":
        raise ValueError("\x1b[2J" + "x" * 1_000_000)
    return f"{task} in {os.getpid()}"


def words(outcomes: list[str | ModelError]) -> list[str]:
    return [str(outcome).split(" in ")[0].splitlines()[0] for outcome in outcomes]


def test_results_come_in_order_and_every_task_is_announced() -> None:
    done: list[int] = []
    outcomes = run_tasks(Work(behave, nothing, jobs=2), ["a", "b", "c", "d", "e"], lambda index, _: done.append(index))
    assert words(outcomes) == ["a", "b", "c", "d", "e"]  # type: ignore[arg-type]
    assert sorted(done) == [0, 1, 2, 3, 4]
    processes = {str(outcome).split()[-1] for outcome in outcomes}
    assert 1 <= len(processes) <= 2
    assert str(os.getpid()) not in processes


def test_a_crash_a_hang_and_an_error_cost_one_task_each() -> None:
    tasks = ["a", "crash", "b", "hang", "leave", "raise", "bug", "exit", "mute", "shout", "cancel", "interrupt", "c"]
    outcomes = run_tasks(Work(behave, nothing, jobs=1, timeout=1.5), tasks)
    assert words(outcomes) == [  # type: ignore[arg-type]
        "a",
        "the process that measured it died with signal 11 (SIGSEGV)",
        "b",
        "measuring took longer than 1.5 s and was stopped",
        "the process that measured it died with exit code 3",
        "forward failed",
        "measuring raised ZeroDivisionError: by zero",
        "measuring raised SystemExit: 5",
        "measuring raised MuteError",
        "measuring raised ValueError: \\x1b[2J" + 993 * "x" + " …",
        "measuring raised CancelledError: later",
        "measuring raised KeyboardInterrupt",
        "c",
    ]
    error = outcomes[5]
    assert isinstance(error, ForwardError)
    assert (error.message, error.hint, error.path) == ("forward failed in 'x'", "mend it", "x")
    bug = outcomes[6]
    assert isinstance(bug, ModelError)
    assert 'raise ZeroDivisionError("by zero")' in str(bug.details)


def test_workers_that_never_come_up_do_not_loop_for_ever() -> None:
    outcomes = run_tasks(Work(behave, die_early, jobs=2), ["a", "b", "c"])
    assert words(outcomes) == ["the process that measured it died with exit code 7"] * 3  # type: ignore[arg-type]


def test_a_worker_that_dies_after_its_model_forked_is_noticed_at_once(tmp_path: Path) -> None:
    child = tmp_path / "child"
    before = time.monotonic()
    outcomes = run_tasks(Work(behave, nothing, jobs=1, timeout=50), [f"fork {child}", "b"])
    assert time.monotonic() - before < 25  # two workers come up; the child sleeps for a minute
    assert words(outcomes) == ["the process that measured it died with exit code 3", "b"]  # type: ignore[arg-type]
    with pytest.raises(ProcessLookupError):
        _until_gone(int(child.read_text()))


def test_a_child_that_returns_has_no_part_in_the_conversation() -> None:
    outcomes = run_tasks(Work(behave, nothing, jobs=1, timeout=20), ["return twice", "b", "c"])
    assert words(outcomes) == ["return twice", "b", "c"]  # type: ignore[arg-type]


def test_a_death_after_the_answer_costs_no_task() -> None:
    def wait(index: int, outcome: object) -> None:
        time.sleep(0.5)  # until the worker is dead

    outcomes = run_tasks(Work(behave, nothing, jobs=1, timeout=20), ["die later", "b"], wait)
    assert words(outcomes) == ["die later", "b"]  # type: ignore[arg-type]


@pytest.mark.parametrize("timeout", [1e18, 1e300, float("inf")])
def test_a_limit_of_more_time_than_there_is(timeout: float) -> None:
    assert words(run_tasks(Work(behave, nothing, jobs=1, timeout=timeout), ["a"])) == ["a"]  # type: ignore[arg-type]


def test_no_task_starts_no_worker() -> None:
    assert run_tasks(Work(behave, die_early), []) == []


@pytest.mark.parametrize(("jobs", "tasks", "workers"), [(4, 2, 2), (2, 9, 2), (1, 3, 1)])
def test_never_more_workers_than_tasks(jobs: int, tasks: int, workers: int) -> None:
    assert Work(behave, nothing, jobs).worker_count(tasks) == workers


SCRIPT = """
from tests.gate.test_workers import *
if __name__ == "__main__":
    print(words(run_tasks(Work(behave, announce, jobs=2, timeout=None), {tasks!r})), flush=True)
"""


def test_what_models_print_does_not_reach_standard_output(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(tasks=["a", "b"]))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, check=True)
    assert result.stdout == "['a', 'b']\n"
    assert "prepared" in result.stderr


@pytest.mark.parametrize("how", ["interrupt the group", "kill the parent"])
def test_nothing_is_left_running(tmp_path: Path, how: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(tasks=["hang", "hang"]))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, script], stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    assert process.stderr is not None
    said = [process.stderr.readline().split() for _ in range(2)]
    assert [words[0] for words in said] == ["prepared", "prepared"]
    if how == "kill the parent":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=20) != 0
    process.stderr.close()
    for _, worker in said:
        with pytest.raises(ProcessLookupError):
            _until_gone(int(worker))


def _until_gone(process: int) -> None:
    """Raise ProcessLookupError as soon as the process has ended."""
    for _ in range(100):
        os.kill(process, 0)
        time.sleep(0.05)
