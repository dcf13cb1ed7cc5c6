"""A scratch project with a small transformer, and the gate run in it as a command."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

MODELS = '''\
"""Two small models."""

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.net(x)


class Tiny(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(16, hidden) for _ in range(3))
        self.head = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def tiny() -> nn.Module:
    print("building tiny")
    return Tiny(hidden=64)


def plain() -> nn.Module:
    return nn.Linear(16, 4)
'''

CONFIG = """\
[tool.modelstat]
baseline = "baselines/models.json"

[tool.modelstat.models.plain]
spec = "models.py:plain"
input = "1x16"

[tool.modelstat.models.tiny]
spec = "models.py:tiny"
input = "1x16"
limits = { memory = "1 MiB" }
message = "Edge budget, see docs/edge.md before raising"
"""

# One block has 16·64 + 64 + 64·16 + 16 params; widened from 64 to 96 hidden units it has 32·(16 + 1 + 16) more.
PARAMS = 3 * (16 * 64 + 64 + 64 * 16 + 16) + 16 * 10 + 10
GROWTH = 3 * 32 * (16 + 1 + 16)


@dataclass(frozen=True)
class Result:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


class Project:
    """The folder of the scratch project."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        (root / "models.py").write_text(MODELS)
        (root / "pyproject.toml").write_text(CONFIG)

    @property
    def baseline(self) -> Path:
        """Where the configuration puts the baseline."""
        return self.root / "baselines" / "models.json"

    def widen(self) -> None:
        """Make the feed-forward part of ``tiny`` dearer."""
        self.edit("models.py", "hidden=64", "hidden=96")

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace text that must be there."""
        path = self.root / name
        text, later = path.read_text(), path.stat().st_mtime + 2
        assert old in text
        path.write_text(text.replace(old, new))
        os.utime(path, (later, later))  # a compiled file of the same second and size would still be taken for this one

    def shim(self) -> Path:
        """A folder with a ``modelstat`` command that runs this checkout, for scripts that call it by name."""
        folder = self.root.parent / "bin"
        folder.mkdir(exist_ok=True)
        command = folder / "modelstat"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m torchstat_cli "$@"\n')
        command.chmod(0o755)
        return folder

    def environment(self, **extra: str) -> dict[str, str]:
        """The environment of a user at a terminal, whatever runs these tests."""
        kept = {name: value for name, value in os.environ.items() if name not in ("CI", "GITHUB_ACTIONS")}
        path = f"{self.shim()}{os.pathsep}{os.environ['PATH']}"
        return {**kept, "PYTHONPATH": str(ROOT), "PATH": path, "NO_COLOR": "1", **extra}

    def run(self, *words: str, **extra: str) -> Result:
        """The outcome of a command in the project's folder."""
        done = subprocess.run(
            words, cwd=self.root, env=self.environment(**extra), capture_output=True, text=True, check=False
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def modelstat(self, *words: str, **extra: str) -> Result:
        """The outcome of ``modelstat`` with ``words``."""
        return self.run(sys.executable, "-m", "torchstat_cli", *words, **extra)
