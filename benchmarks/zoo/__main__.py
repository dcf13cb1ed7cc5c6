"""``python -m benchmarks.zoo``: examine every model that has no outcome yet, a chunk of them per process."""

from __future__ import annotations

import argparse
import json
import logging
import resource
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.zoo.examination import examine
from benchmarks.zoo.outcomes import (
    RESULTS,
    Outcome,
    append_outcome,
    installed_versions,
    read_outcomes,
    read_versions,
    write_outcomes,
)
from benchmarks.zoo.page import write_page
from benchmarks.zoo.subjects import LIBRARIES, Subject, subjects

CHUNK = 40  # models per process
GIBIBYTES = 10  # of address space, per process


def main() -> int:
    """Examine, and write the page; 1 if a number is wrong or modelstat crashed."""
    options = _options()
    if options.chunk:
        logging.disable(logging.ERROR)  # fake tensors log what they raise
        for line in sys.stdin:
            append_outcome(examine(Subject(**json.loads(line))), options.results)
        return 0
    known, versions = read_versions(options.results), installed_versions()
    if known and known != versions:
        options.results.unlink()  # other libraries, other models
    for library in options.libraries or LIBRARIES:
        _examine_library(library, options)
    outcomes = read_outcomes(options.results)
    write_outcomes(outcomes.values(), versions, options.results)
    if options.results == RESULTS:
        write_page()
    return int(any(outcome.verdict in ("wrong", "crash") for outcome in outcomes.values()))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.zoo",
        description="Profile every model of the libraries and compare with torch; what has an outcome is left.",
    )
    parser.add_argument("libraries", nargs="*", metavar="LIBRARY", help=f"{', '.join(LIBRARIES)}; all by default")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the file that keeps the outcomes")
    parser.add_argument("--again", action="store_true", help="also models whose outcome is not right")
    parser.add_argument("--chunk", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = [library for library in options.libraries if library not in LIBRARIES]
    if unknown:
        parser.error(f"there is no library {unknown[0]!r}; choose from {', '.join(LIBRARIES)}")
    return options


def _examine_library(library: str, options: argparse.Namespace) -> None:
    known = read_outcomes(options.results)
    settled = {key for key, outcome in known.items() if not options.again or outcome.verdict == "right"}
    pending = [subject for subject in subjects(library) if subject.key not in settled]
    while pending:
        chunk, pending = pending[:CHUNK], pending[CHUNK:]
        pending = _examine_chunk(chunk, options.results) + pending
        print(f"{library}: {len(pending)} left", flush=True)


def _examine_chunk(chunk: list[Subject], results: Path) -> list[Subject]:
    """Examine in a process of its own; what is left where it died, without the model that killed it."""
    before = _length(results)
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.zoo", "--chunk", "--results", str(results)],
        input="".join(json.dumps(asdict(subject)) + "\n" for subject in chunk),
        text=True,
        check=False,
        preexec_fn=_limit_memory,
    )
    rest = chunk[_length(results) - before :]
    if rest:
        killer = rest.pop(0)
        remark = f"its process ended with {process.returncode}"
        names = {"library": killer.library, "name": killer.name, "variant": killer.variant}
        append_outcome(Outcome(**names, verdict="crash", remark=remark), results)
    return rest


def _length(results: Path) -> int:
    return len(results.read_text(encoding="utf-8").splitlines()) if results.exists() else 0


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (GIBIBYTES * 2**30,) * 2)


if __name__ == "__main__":
    sys.exit(main())
