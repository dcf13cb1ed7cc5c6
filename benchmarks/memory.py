"""Simulated peaks, made without memory, beside those of the real allocator: a forward pass, training steps 1 and 2.

    python -m benchmarks memory [--write]         against the CPU's allocator, with torch.profiler
    python -m benchmarks.memory --device cuda     against torch.cuda.max_memory_allocated

The same numbers on both sides: tensors, that is parameters, buffers, inputs and everything a run makes of them.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

import torchstat_cli as ms
from benchmarks.figures import Figure, Settings, closing, figure_table
from benchmarks.memory_cases import cases
from benchmarks.memory_peaks import PHASES, Peaks, real, simulated
from benchmarks.peaks.case import Case
from benchmarks.subjects import Subject, overhead_subjects
from benchmarks.timing import interleave, median_ratio
from torchstat_cli.units import format_bytes

OPENING = "<!-- written by: python -m benchmarks memory --write -->"
CLOSING = "<!-- end of what was written -->"
_PAGE = Path("docs/memory.md")
_ON_CUDA = 5.0  # largest error in percent
_THREADS = 2  # as many as are simulated
_WATCHING = 1.6  # CPU time of a profile with memory over one without
_RECURRENT = ("lstm", "gru")  # cuDNN keeps a workspace for these, of which nothing is known without it


@dataclass(frozen=True)
class Comparison:
    """Both sides of one model."""

    case: Case
    simulated: Peaks
    real: Peaks
    seconds: float  # of the simulation
    goal: float | None  # largest error in percent

    def error(self, phase: str) -> float:
        """Percent of the real peak; negative where the simulated one is lower."""
        return 100 * (self.simulated[phase] - self.real[phase]) / self.real[phase]

    def figures(self) -> Iterator[Figure]:
        """One line for each phase."""
        for phase in PHASES:
            sides = f"{format_bytes(self.simulated[phase])} simulated, {format_bytes(self.real[phase])} real"
            took = f", in {self.seconds:.1f} s" if phase == PHASES[0] else ""
            subject = f"{self.case.words}, {phase}"
            goal = None if self.case.exception else self.goal
            details = sides + took + (f"; {self.case.exception}" if self.case.exception else "")
            yield Figure(subject, abs(self.error(phase)), "%", goal, digits=3, details=details)


def figures(settings: Settings) -> Iterator[Figure]:
    """What watching costs, then the error of the simulated peak, on the CPU, with Adam."""
    for subject in overhead_subjects():
        yield _cost(subject, settings.rounds)
    torch.set_num_threads(_THREADS)
    found = []
    for case in cases(large=False):
        found.append(compare(case, "adam", "cpu"))
        yield from found[-1].figures()
    if settings.write:
        _PAGE.write_text(rewritten(_PAGE.read_text(encoding="utf-8"), lines(found)), encoding="utf-8")
        print(f"wrote {_PAGE}", file=sys.stderr)


def _cost(subject: Subject, rounds: int) -> Figure:
    model, inputs = subject.model("meta"), subject.inputs("meta")
    sides = {
        "watched": lambda: ms.profile(model, *inputs, memory=True),
        "plain": lambda: ms.profile(model, *inputs),
    }
    seconds = interleave(sides, rounds, warm_up=2)
    details = " against ".join(f"{1e3 * statistics.median(seconds[name]):.1f} ms" for name in sides)
    ratio = median_ratio(seconds["watched"], seconds["plain"])
    return Figure(f"{subject.library} {subject.name}, with memory", ratio, "x", _WATCHING, details=details)


def compare(case: Case, optimizer: str, device: str) -> Comparison:
    """Simulate a model and run it on ``device``."""
    print(f"measuring {case.name}", file=sys.stderr)
    start = time.perf_counter()
    # On a GPU torch takes the memory-efficient kernel for float32; on the CPU it chooses as "auto" does.
    ours = simulated(case, optimizer, "auto" if device == "cpu" else "efficient")
    seconds = time.perf_counter() - start
    goal: float | None = case.goal
    if device != "cpu":
        goal = None if case.name.startswith(_RECURRENT) else _ON_CUDA
    found = Comparison(case, ours, real(case, optimizer, device), seconds, goal)
    gc.collect()
    return found


def lines(found: Sequence[Comparison]) -> list[str]:
    """The table of errors in Markdown, and on what it was measured."""
    release = torch.__version__.split("+")[0]
    vectors = torch.backends.cpu.get_cpu_capability()
    rows = [
        " | ".join([comparison.case.words, *(_signed(comparison.error(phase)) for phase in PHASES)])
        for comparison in found
    ]
    exceptions = [comparison.case for comparison in found if comparison.case.exception]
    return [
        f"torch {release}, float32, Adam, a CPU with {vectors}, {torch.get_num_threads()} threads. {_summary(found)}",
        "",
        f"| model | {' | '.join(PHASES)} |",
        "| --- | ---: | ---: | ---: |",
        *(f"| {row} |" for row in rows),
        *(f"\nException: {case.words}; {case.exception}." for case in exceptions),
    ]


def _summary(found: Sequence[Comparison]) -> str:
    """The median and the worst error, without exceptions."""
    errors = {
        (comparison.case.words, phase): abs(comparison.error(phase))
        for comparison in found
        if not comparison.case.exception
        for phase in PHASES
    }
    if not errors:
        return ""
    (words, phase), worst = max(errors.items(), key=lambda item: item[1])
    return (
        f"{len(found)} models, fixed before they were measured: the median error is "
        f"{statistics.median(errors.values()):.3f} %, the worst {worst:.3f} % ({words}, {phase})."
    )


def _signed(error: float) -> str:
    """Percent with a sign, unless it rounds to nothing."""
    return "0.000 %" if abs(error) < 0.0005 else f"{error:+.3f} %"


def rewritten(page: str, table: Sequence[str]) -> str:
    """``page`` with the lines between the two comments replaced.

    Raises:
        ValueError: it lacks one of them.
    """
    before, found, rest = page.partition(OPENING)
    _, end, after = rest.partition(CLOSING)
    if not found or not end:
        raise ValueError(f"{_PAGE} lacks the comments between which the table stands")
    return "\n".join([f"{before}{OPENING}", *table, f"{CLOSING}{after}"])


def main() -> int:
    """Print the table for any device; 1 if an error is larger than its goal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description="Simulated beside real peaks.")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--optimizer", help="as modelstat --optimizer; adam by default, as torch runs it on the device")
    parser.add_argument("--only", help="the name of one model")
    options = parser.parse_args()
    on_cuda = options.device.startswith("cuda")
    if on_cuda and not torch.cuda.is_available():
        parser.error("torch sees no CUDA device here; leave --device out to measure on the CPU")
    if not on_cuda:
        torch.set_num_threads(_THREADS)
    chosen = [case for case in cases(large=on_cuda) if options.only in (None, case.name)]
    if not chosen:
        parser.error(f"there is no model {options.only!r}")
    optimizer = options.optimizer or ("adam:foreach=True" if on_cuda else "adam")
    shown = [figure for case in chosen for figure in compare(case, optimizer, options.device).figures()]
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(figure_table(str(__doc__).splitlines()[0], shown))
    console.print(closing(shown))
    return int(any(figure.verdict == "missed" for figure in shown))


if __name__ == "__main__":
    sys.exit(main())
