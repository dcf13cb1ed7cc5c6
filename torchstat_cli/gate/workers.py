"""Run one function over many tasks in worker processes; a crash or a hang costs its task, not the run."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Generic, TypeVar

from torchstat_cli.errors import ModelError, ModelstatError
from torchstat_cli.foreign_text import named
from torchstat_cli.standard_streams import fill_closed_streams, flush_everything, forgiving

Task = TypeVar("Task")
Result = TypeVar("Result")

_MOST_WORKERS = 8  # every worker holds its own torch in memory
_START_SECONDS = 300.0  # for a worker to come up, imports included
_STOP_SECONDS = 5.0  # for a killed worker to be gone
_LOOK_SECONDS = 0.25  # between two looks at whether workers live
_READY = "ready"


class OutOfTimeError(ModelError):
    """A task took longer than it may."""

    ending = "timeout"


class DeadWorkerError(ModelError):
    """The process of a task ended before the task."""

    ending = "died"


@dataclass(frozen=True, slots=True)
class Work(Generic[Task, Result]):
    """What workers do; the functions must be importable by name, as they travel to other processes."""

    function: Callable[[Task], Result]
    prepare: Callable[[], None]  # once per worker, before its first task: heavy imports
    jobs: int | None = None  # workers; None: one per processor that may be used
    timeout: float | None = None  # seconds for one task; None: no limit

    def worker_count(self, tasks: int) -> int:
        """How many workers ``tasks`` get."""
        return min(tasks, self.jobs or min(_processors(), _MOST_WORKERS))


@dataclass
class _Worker:
    """One process and the task that it has, if any."""

    process: Any
    connection: Connection
    deadline: float
    task: int | None = None
    ready: bool = field(default=False)


def run_tasks(
    work: Work[Task, Result],
    tasks: Sequence[Task],
    done: Callable[[int, Result | ModelstatError], None] = lambda index, outcome: None,
) -> list[Result | ModelstatError]:
    """The result of every task, in order, or the error that took its place.

    Args:
        work: what to do with a task, and how many at a time.
        tasks: must be picklable, as must the results.
        done: called with the index of every task that ended, and with what it gave.
    """
    pending = list(reversed(range(len(tasks))))
    results: dict[int, Result | ModelstatError] = {}
    workers = [_start(work) for _ in range(work.worker_count(len(tasks)))]
    try:
        while len(results) < len(tasks):
            for worker in _with_news(workers):
                index = worker.task
                outcome = _receive(worker, work.timeout)
                if outcome is not None and index is None:
                    # It never came up: the next task in line pays, so that a broken start cannot loop for ever.
                    index = pending.pop() if pending else None
                if outcome is not None and index is not None:
                    results[index] = outcome
                    done(index, outcome)
                if not worker.ready or not worker.process.is_alive():
                    _stop(worker)
                    workers.remove(worker)
                    if pending:
                        workers.append(_start(work))
                elif pending:
                    _send(worker, pending.pop(), tasks, work.timeout)
    finally:
        for worker in workers:
            _stop(worker)
    return [results[index] for index in range(len(tasks))]


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start(work: Work[Any, Any]) -> _Worker:
    # Spawned, not forked: a fork of a process with threads may hang.
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, work.function, work.prepare), daemon=True)
    process.start()
    there.close()
    return _Worker(process, here, time.monotonic() + _START_SECONDS)


def _send(worker: _Worker, index: int, tasks: Sequence[Any], timeout: float | None) -> None:
    worker.task = index
    worker.deadline = time.monotonic() + timeout if timeout else float("inf")
    with contextlib.suppress(BrokenPipeError):  # it has just died, which the next look at it tells
        worker.connection.send(tasks[index])


def _with_news(workers: list[_Worker]) -> list[_Worker]:
    """The workers that said something, died, or ran out of time; waits for the first."""
    busy = [worker for worker in workers if worker.task is not None or not worker.ready]
    while True:
        patience = min(worker.deadline for worker in busy) - time.monotonic()
        # Neither pipe nor sentinel closes while a child of the model holds it open, so the process itself is asked too.
        heard = wait([worker.connection for worker in busy], min(max(patience, 0), _LOOK_SECONDS))
        now = time.monotonic()
        news = [
            worker
            for worker in busy
            if worker.connection in heard or worker.deadline <= now or not worker.process.is_alive()
        ]
        if news:
            return news


def _receive(worker: _Worker, timeout: float | None) -> Any:
    """What ended the task of ``worker``: its result or an error; None where it only came up."""
    started, worker.ready, worker.task = worker.ready, False, None
    if not worker.connection.poll():
        if not worker.process.is_alive() and not worker.connection.poll():
            return _death(worker)
        doing = f"took longer than {timeout:g} s and was stopped" if started else "could not be started in time"
        return OutOfTimeError(f"measuring {doing}", "allow more: --timeout SECONDS, or use a smaller --input")
    try:
        message = worker.connection.recv()
    except (EOFError, OSError):
        return _death(worker)
    worker.ready = True
    return None if message == _READY else message


def _death(worker: _Worker) -> DeadWorkerError:
    _wait_for_end(worker)
    code = worker.process.exitcode
    cause = f"signal {-code} ({_signal_name(-code)})" if code is not None and code < 0 else f"exit code {code}"
    remedy = "the kernel kills a process that takes too much memory; fewer --jobs need less" if code == -9 else None
    return DeadWorkerError(f"the process that measured it died with {cause}", remedy)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def _stop(worker: _Worker) -> None:
    """End a worker, and with it whatever processes its model has started."""
    _kill_group(worker.process.pid)
    worker.process.kill()
    _wait_for_end(worker)
    worker.connection.close()


def _wait_for_end(worker: _Worker) -> None:
    # Not join, which waits until the children of the process have ended too.
    deadline = time.monotonic() + _STOP_SECONDS
    while worker.process.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)


def _kill_group(leader: int) -> None:
    """Kill all processes of a group; none where the worker died before it had one, or the system has no groups."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(leader, signal.SIGKILL)


def _lead_a_group(connection: Connection) -> None:
    """Make this process and its children one group, in which the children have no part in the conversation."""
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)
        signal.signal(
            signal.SIGTTOU, signal.SIG_IGN
        )  # a group in the background may write to the terminal all the same
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=connection.close)


def _serve(connection: Connection, function: Callable[[Any], Any], prepare: Callable[[], None]) -> None:
    """The life of a worker; it ends when the other side closes the pipe."""
    # Ctrl-C is for the parent, which decides and stops the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _lead_a_group(connection)
    threading.Thread(target=_follow_parent, daemon=True).start()
    # What a model prints belongs to the notices: stdout carries the report and nothing else.
    fill_closed_streams()
    sys.stdout.flush()
    os.dup2(2, 1)
    sys.stdout = sys.stderr = forgiving(sys.stderr)
    prepare()
    connection.send(_READY)
    while True:
        try:
            task = connection.recv()
        except EOFError:
            return
        try:
            outcome = _attempt(function, task)
            flush_everything()  # of what the model printed; the process may end without doing so
            connection.send(outcome)
        except OSError:  # nobody listens any more
            return


def _follow_parent() -> None:
    """End this process, whatever it is doing, when the one that started it is gone, killed perhaps."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        _kill_group(os.getpid())
        os._exit(1)


def _attempt(function: Callable[[Any], Any], task: Any) -> Any:
    try:
        return function(task)
    except ModelstatError as error:
        failure = error
    except BaseException as error:  # of the model's own too; Ctrl-C does not reach this process
        failure = ModelError(f"measuring raised {named(error)}", "see the traceback with --debug")
        failure.__cause__ = error
    # A traceback does not survive the way to the other process, its text does.
    failure.details = "".join(traceback.format_exception(failure))
    return failure
