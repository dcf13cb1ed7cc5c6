"""``python -m benchmarks [NAME …]``: measure, print each table, say which goals are reached."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys

from rich.console import Console

from benchmarks.figures import Settings, closing, figure_table

NAMES = ("startup", "overhead", "growth", "large", "memory", "gate", "extraction", "peers")


def main() -> int:
    """Run the named benchmarks, all by default; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure what the documentation claims.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}; all by default")
    parser.add_argument("--rounds", type=int, default=7, help="measurements of each side (default: 7)")
    parser.add_argument("--write", action="store_true", help="rewrite docs/peers.md and the table of docs/memory.md")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; choose from {', '.join(NAMES)}")
    if options.rounds < 1:
        parser.error(f"--rounds must be at least 1, got {options.rounds}")
    settings = Settings(options.rounds, options.write)
    if len(options.names) == 1:
        return _run(options.names[0], settings)
    return max(_run_apart(name, settings) for name in options.names or NAMES)


def _run(name: str, settings: Settings) -> int:
    module = importlib.import_module(f"benchmarks.{name}")
    figures = list(module.figures(settings))
    console = Console(width=None if sys.stdout.isatty() else 120)
    console.print(figure_table(str(module.__doc__).splitlines()[0], figures))
    console.print(closing(figures), end="\n\n")
    return int(any(figure.verdict == "missed" for figure in figures))


def _run_apart(name: str, settings: Settings) -> int:
    """In a process of its own: what one benchmark imports would count in the memory that another measures."""
    words = [sys.executable, "-m", "benchmarks", name, "--rounds", str(settings.rounds)]
    return subprocess.run([*words, *(["--write"] if settings.write else [])], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
