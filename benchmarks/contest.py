"""Every tool on every model, each pair in a process of its own: tools patch torch, and some never take it back."""

from __future__ import annotations

import contextlib
import copy
import gc
import logging
import multiprocessing
import os
import time
import warnings
from dataclasses import dataclass
from multiprocessing.connection import Connection

import torch

from benchmarks.peer_tools import Count, Inputs, Measure, Tool
from benchmarks.subjects import Subject

_PATIENCE_S = 180.0
_TURN_S = 0.25  # a tool calls again until about as much has gone by: the faster, the more a busy machine disturbs
_FEWEST, _MOST = 2, 10  # calls of one turn; the first, which brings code and data back into the caches, does not count


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one tool said of one model, or why it said nothing."""

    tool: str
    model: str
    madds: int | None = None
    params: int | None = None
    first_s: float | None = None  # CPU seconds of the first call
    warm_s: float | None = None  # CPU seconds of the fastest later call: what else a machine does only adds
    failure: str | None = None


def outcomes(subject: Subject, tools: tuple[Tool, ...], rounds: int) -> tuple[Outcome, ...]:
    """One outcome per tool. Every round calls all of them, so that drift of the machine hits all alike.

    The model is built once and inherited by the tools' processes. One torch thread, so that CPU seconds compare and no
    thread pool is lost by the fork.
    """
    torch.set_num_threads(1)
    model = subject.model()
    contestants = [_Contestant(tool, subject, model) for tool in tools]
    try:
        for number in range(rounds + 1):
            for contestant in contestants:
                contestant.call(contestant.turn() if number else 1)
    finally:
        for contestant in contestants:
            contestant.stop()
    return tuple(contestant.outcome() for contestant in contestants)


class _Contestant:
    """One tool in a process of its own, which calls it when told to."""

    def __init__(self, tool: Tool, subject: Subject, model: torch.nn.Module) -> None:
        self._names = tool.name, subject.name
        self._seconds: list[float] = []
        self._count: Count | None = None
        self._failure: str | None = None
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, tool, subject, model))
        self._process.start()
        theirs.close()

    def turn(self) -> int:
        """How many calls fill one turn."""
        return min(_MOST, max(_FEWEST, int(_TURN_S / self._seconds[-1]))) if self._seconds else _FEWEST

    def call(self, times: int) -> None:
        """Let the tool measure the model ``times`` over; nothing happens once it has failed."""
        if self._failure is not None:
            return
        try:
            self._pipe.send(times)
            if not self._pipe.poll(_PATIENCE_S):
                self._failure = f"no answer within {_PATIENCE_S:.0f} s"
                return
            answer: Answer = self._pipe.recv()
        except (EOFError, ConnectionError):
            self._failure = "its process died"
            return
        if isinstance(answer, str):
            self._failure = answer
        else:
            self._count = answer[0]
            self._seconds.append(answer[1])

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()

    def outcome(self) -> Outcome:
        """What all calls came to."""
        if self._failure is not None or self._count is None:
            return Outcome(*self._names, failure=self._failure)
        first, *later = self._seconds
        return Outcome(*self._names, self._count.madds, self._count.params, first, min(later))


Answer = str | tuple[Count, float]
"""Why a tool failed, or what it counted and the CPU seconds of the fastest call."""


def _serve(pipe: Connection, tool: Tool, subject: Subject, model: torch.nn.Module) -> None:
    """What a tool's process does: as many calls as it is told to, again and again until it is killed."""
    gc.freeze()  # what was inherited may belong to threads that are not here
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        measure: Measure | None = None
        while True:
            times = pipe.recv()
            try:
                if measure is None:
                    measure = tool.load()
                    gc.collect()
                    gc.freeze()
                pipe.send(_timed(measure, [_copy(tool, subject, model) for _ in range(times)]))
            except Exception as error:  # whatever another tool raises is its result
                pipe.send(_reason(error))


def _timed(measure: Measure, given: list[tuple[torch.nn.Module, Inputs]]) -> tuple[Count, float]:
    """What the tool counted, and how long the fastest call took; the first of several does not count.

    Every call gets a model of its own, because several tools leave hooks, buffers or attributes behind; the models are
    made before anything is timed.
    """
    count, seconds = Count(None, None), []
    gc.collect()
    gc.disable()
    for fresh, inputs in given:
        start = time.process_time()
        count = measure(fresh, inputs)
        seconds.append(time.process_time() - start)
    gc.enable()
    return count, min(seconds[1:] or seconds)


def _copy(tool: Tool, subject: Subject, model: torch.nn.Module) -> tuple[torch.nn.Module, Inputs]:
    fresh = copy.deepcopy(model)
    return (fresh.to("meta"), subject.inputs("meta")) if tool.on_meta else (fresh, subject.inputs())


def _reason(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:160]}" if text else type(error).__name__
