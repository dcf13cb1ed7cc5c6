"""Other tools beside modelstat: is the count exact, and who is faster (CPU time, one thread)."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

import torchstat_cli
from benchmarks.contest import Outcome, outcomes
from benchmarks.exact import exact_madds
from benchmarks.figures import Figure, Settings
from benchmarks.peer_faults import FAULTS
from benchmarks.peer_page import Results, Truth, madds_lines, page, time_lines, warm_cell
from benchmarks.peer_tools import FORWARD, MODELSTAT, PEERS, Tool
from benchmarks.subjects import Subject, peer_subjects, toy_subjects

_PAGE = Path("docs/peers.md")


def figures(settings: Settings) -> Iterator[Figure]:
    """Two goals per model: modelstat's MAdds are exact, and no peer that is installed answers sooner.

    The second holds for models of usual sizes; toys, a table of their own, are measured without it.
    """
    tools = (MODELSTAT, FORWARD, *_installed_peers())
    results = _compare(tools, settings.rounds, peer_subjects())
    toys = _compare(tools, settings.rounds, toy_subjects())
    for compared, title, goal in ((results, "models", 1.0), (toys, "toys", None)):
        _show(compared, title)
        for truth in compared.truths:
            yield from _goals(compared, truth, goal)
    if settings.write:
        words = {tool.name: tool.words for tool in tools if tool is not FORWARD}
        _PAGE.write_text(page(results, toys, _versions(tools), words, FAULTS), encoding="utf-8")
        print(f"wrote {_PAGE}", file=sys.stderr)


def _installed_peers() -> tuple[Tool, ...]:
    missing = [tool.name for tool in PEERS if tool.version() is None]
    if missing:
        print(f"not installed, left out: {', '.join(missing)}; see benchmarks/requirements.txt", file=sys.stderr)
    return tuple(tool for tool in PEERS if tool.name not in missing)


def _compare(tools: tuple[Tool, ...], rounds: int, subjects: Iterable[Subject]) -> Results:
    truths: list[Truth] = []
    seen: list[Outcome] = []
    for subject in subjects:
        print(f"measuring {subject.name}", file=sys.stderr)
        truths.append(_truth(subject))
        seen.extend(outcomes(subject, tools, rounds))
    counting = tuple(tool.name for tool in tools if tool is not FORWARD)
    return Results(tuple(truths), tuple(seen), counting, baseline=FORWARD.name)


def _truth(subject: Subject) -> Truth:
    params = sum(parameter.numel() for parameter in subject.model("meta").parameters())
    return Truth(subject.name, subject.library, exact_madds(subject), params)


def _goals(results: Results, truth: Truth, goal: float | None) -> Iterator[Figure]:
    ours = results.of(truth.model, MODELSTAT.name)
    if ours.madds is None or ours.warm_s is None:
        yield Figure(f"{truth.model}, failures", 1, "", 0, digits=0, details=str(ours.failure))
        return
    yield Figure(f"{truth.model}, MAdds", ours.madds / 1e6, "M", truth.madds / 1e6, exact=True, digits=1)
    peers = [results.of(truth.model, tool) for tool in results.tools if tool != MODELSTAT.name]
    yield from _race(f"{truth.model}, time against the fastest", ours, peers, goal)
    exact = [peer for peer in peers if peer.madds == truth.madds]
    yield from _race(f"{truth.model}, time against the fastest exact one", ours, exact, goal=None)


def _race(subject: str, ours: Outcome, peers: list[Outcome], goal: float | None) -> Iterator[Figure]:
    times = [(peer.warm_s, peer.tool) for peer in peers if peer.warm_s]
    if ours.warm_s is not None and times:
        seconds, tool = min(times)
        details = f"{1e3 * ours.warm_s:.1f} ms against {1e3 * seconds:.1f} ms of {tool}"
        yield Figure(subject, ours.warm_s / seconds, "x", goal, details=details)


def _show(results: Results, models: str) -> None:
    console = Console(width=None if sys.stdout.isatty() else 160)
    madds, times = madds_lines(results), time_lines(results, warm_cell)
    for words, (head, *body) in (("MAdds, error against the exact count", madds), ("milliseconds, warm", times)):
        table = Table(*head[:1], title=f"{models}: {words}", title_justify="left", box=None, pad_edge=False)
        for name in head[1:]:
            table.add_column(name, justify="right")
        for line in body:
            table.add_row(*line)
        console.print(table, end="\n\n")


def _versions(tools: tuple[Tool, ...]) -> dict[str, str]:
    named = {tool.package: tool.version() or "" for tool in tools if tool.package not in ("torch", "torchstat-cli")}
    ours = {"Python": platform.python_version(), "torch": torch.__version__.partition("+")[0]}
    return {**ours, "modelstat": torchstat_cli.__version__, **named}
