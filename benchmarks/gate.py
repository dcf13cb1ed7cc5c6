"""How long the gate takes for many models, against one: torch is imported once per worker, not per model."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, Settings
from benchmarks.timing import interleave_processes, median_ratio

MODELS = 50
GOAL = 6.0


def figures(settings: Settings) -> Iterator[Figure]:
    """The wall time of checking 50 models of the size of resnet18, over that of checking one."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "modelstat.toml"
        config.write_text(configuration())
        check = (sys.executable, "-m", "torchstat_cli", "check", "--config", str(config))
        commands = {"one": (*check, "resnet_00"), "all": check}
        runs = interleave_processes(commands, min(settings.rounds, 3))
    one, many = ([run.wall_s for run in runs[name]] for name in ("one", "all"))
    details = f"{statistics.median(many):.2f} s, one model {statistics.median(one):.2f} s"
    yield Figure(f"check of {MODELS} models", median_ratio(many, one), "x", GOAL, details=details)


def configuration() -> str:
    """A project of 50 ResNets, each with ceilings that hold, so that no baseline is needed."""
    return 'limits = { params = "1 G", flops = "1 T" }\n' + "".join(
        f'[models.resnet_{index:02}]\nspec = "sample_models.resnet:resnet18"\n' for index in range(MODELS)
    )
