"""Every tool on every model, each pair in a process of its own: tools patch torch, and some never take it back."""

from __future__ import annotations

import contextlib
import copy
import gc
import logging
import multiprocessing
import os
import statistics
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection

import torch

from benchmarks.peer_tools import Tool
from benchmarks.subjects import Subject

_PATIENCE_S = 180.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one tool said of one model, or why it said nothing."""

    tool: str
    model: str
    madds: int | None = None
    params: int | None = None
    first_s: float | None = None  # CPU seconds of the first call
    warm_s: float | None = None  # median CPU seconds of later calls
    failure: str | None = None


def outcomes(subject: Subject, tools: tuple[Tool, ...], rounds: int) -> Iterator[Outcome]:
    """One outcome per tool. The model is built once and inherited by the tools' processes.

    One torch thread, so that CPU seconds compare and no thread pool is lost by the fork.
    """
    torch.set_num_threads(1)
    model = subject.model()
    context = multiprocessing.get_context("fork")
    for tool in tools:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_report, args=(sender, tool, subject, model, rounds))
        process.start()
        sender.close()
        yield _answer(receiver, tool, subject)
        process.kill()
        process.join()


def _answer(receiver: Connection, tool: Tool, subject: Subject) -> Outcome:
    failure = f"no answer within {_PATIENCE_S:.0f} s"
    try:
        if receiver.poll(_PATIENCE_S):
            outcome: Outcome = receiver.recv()
            return outcome
    except EOFError:
        failure = "its process died"
    return Outcome(tool.name, subject.name, failure=failure)


def _report(sender: Connection, tool: Tool, subject: Subject, model: torch.nn.Module, rounds: int) -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            outcome = _measure(tool, subject, model, rounds)
        except Exception as error:  # whatever another tool raises is its result
            outcome = Outcome(tool.name, subject.name, failure=_reason(error))
    sender.send(outcome)


def _measure(tool: Tool, subject: Subject, model: torch.nn.Module, rounds: int) -> Outcome:
    measure = tool.load()
    # A new copy for every call: several tools leave hooks, buffers or attributes on the model. They are made before
    # anything is timed, so that the calls come one upon the other and find what they share in the processor's caches.
    given = [_copy(tool, subject, model) for _ in range(rounds + 1)]
    seconds = []
    gc.collect()
    gc.disable()
    for fresh, inputs in given:
        start = time.process_time()
        count = measure(fresh, inputs)
        seconds.append(time.process_time() - start)
    warm = statistics.median(seconds[1:])
    return Outcome(tool.name, subject.name, count.madds, count.params, seconds[0], warm)


def _copy(tool: Tool, subject: Subject, model: torch.nn.Module) -> tuple[torch.nn.Module, tuple[torch.Tensor, ...]]:
    fresh = copy.deepcopy(model)
    return (fresh.to("meta"), subject.inputs("meta")) if tool.on_meta else (fresh, subject.inputs())


def _reason(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:160]}" if text else type(error).__name__
