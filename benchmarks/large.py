"""Models larger than the machine: seconds and peak memory of whole processes."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.closed_forms import MADDS
from benchmarks.figures import Figure, Settings
from benchmarks.timing import ProcessRun, run_process

_CONFIGS = Path("tests/fixtures")
_MIB = 1024**2
# The command itself; the import before it lets transformers load where torchvision's compiled part does not.
_COMMAND = """
import sys
from benchmarks.libraries import import_library
import_library("transformers")
from torchstat_cli.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
_PROFILE_VAST = """
import json, torch, torchstat_cli
from benchmarks.growth import vast
report = torchstat_cli.profile(vast(), torch.empty(1, 16, 64, device="meta"))
print(json.dumps([len(report.rows), sum(operator.calls for operator in report.operators)]))
"""


def figures(settings: Settings) -> Iterator[Figure]:
    """Three published decoders from their configurations, training one, and one model of very many modules."""
    if importlib.util.find_spec("transformers") is None:
        print("transformers is not installed: no Llama, DeepSeek or Qwen here", file=sys.stderr)
    else:
        for name in MADDS:
            yield from _decoder(name, 8192)
        yield from _deepseek_at_2048()
        for attention in ("flash", "math"):
            yield from _training_step("llama-405b", 8192, attention)
    run = run_process((sys.executable, "-c", _PROFILE_VAST))
    modules, calls = json.loads(run.output)
    yield from _cost(f"{modules:,} modules, {calls:,} operator calls", run, seconds=20, mib=1024)


def _decoder(name: str, tokens: int) -> Iterator[Figure]:
    run, totals = _profile(name, tokens)
    subject = f"{name}, {tokens} tokens"
    yield from _cost(subject, run, seconds=10, mib=1536, details=f"{totals['params'] / 1e9:.1f} G params")
    yield _contractions(subject, name, tokens, totals)


def _deepseek_at_2048() -> Iterator[Figure]:
    _, totals = _profile("deepseek-v3", 2048)
    yield _contractions("deepseek-v3, 2048 tokens", "deepseek-v3", 2048, totals)


def _training_step(name: str, tokens: int, attention: str) -> Iterator[Figure]:
    words = ("--train", "--memory", "--attention", attention, "--dtype", "bfloat16")
    run, totals = _profile(name, tokens, *words)
    subject = f"{name}, {tokens} tokens, training step with {attention} attention"
    yield from _cost(subject, run, seconds=30, mib=2560)
    yield Figure(subject, totals["peak"] / 1024**3, "GiB", digits=0, details="simulated peak, bfloat16, plain SGD")


def _cost(subject: str, run: ProcessRun, *, seconds: float, mib: int, details: str = "") -> Iterator[Figure]:
    yield Figure(subject, run.wall_s, "s", seconds, details=f"with all imports; {run.cpu_s:.1f} s of CPU")
    yield Figure(subject, run.peak_bytes / _MIB, "MiB", mib, digits=0, details=details or "peak resident memory")


def _contractions(subject: str, name: str, tokens: int, totals: dict[str, Any]) -> Figure:
    config = json.loads((_CONFIGS / name / "config.json").read_text(encoding="utf-8"))
    expected = 2 * MADDS[name](config, tokens) / 1e12
    return Figure(
        subject, 2 * totals["madds"] / 1e12, "TFLOP", expected, exact=True, digits=1,
        details="contractions; goal: the closed form",
    )  # fmt: skip


def _profile(name: str, tokens: int, *options: str) -> tuple[ProcessRun, dict[str, Any]]:
    words = (f"hf/{_CONFIGS / name}", "--input", f"1,{tokens}:int64", "--format", "json", *options)
    run = run_process((sys.executable, "-c", _COMMAND, *words))
    totals: dict[str, Any] = json.loads(run.output)["totals"]
    return run, totals
