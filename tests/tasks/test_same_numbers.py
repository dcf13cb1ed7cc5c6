"""Numbers that depend on random weights are the same in every process, whatever its generators were asked before."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import torchstat_cli as ms
from torchstat_cli.gate.config import ModelEntry
from torchstat_cli.tasks.check import measure_entry

ROOT = Path(__file__).parents[2]

MODELS = """
import random
import numpy as np
import torch
from torch import nn


class Gated(nn.Module):
    \"\"\"Runs its layer as often as its weights are above their mean.\"\"\"

    def __init__(self, weights):
        super().__init__()
        self.gates = nn.Parameter(weights)
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        for gate in self.gates:
            if gate.item() > 0.5:
                x = self.layer(x)
        return x


class Detector(nn.Module):
    \"\"\"As many boxes as score above a threshold, and a layer on each.\"\"\"

    def __init__(self):
        super().__init__()
        self.head, self.layer = nn.Linear(4, 1), nn.Linear(4, 8)

    def forward(self, x):
        return self.layer(x[self.head(x)[:, 0] > 0.1])


def of_torch(): return Gated(torch.rand(40))
def of_numpy(): return Gated(torch.from_numpy(np.random.rand(40)).float())
def of_python(): return Gated(torch.tensor([random.random() for _ in range(40)]))
def detector(): return Detector()
def inputs(): return Detector()
def batch(): return torch.randn(64, 4)
imported = Gated(torch.rand(40))


class Dropping(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        for _ in range(40):
            x = self.layer(x) if torch.rand(()).item() > 0.5 else x
        return x


def in_forward(): return Dropping()
for factory in (of_torch, of_numpy, of_python, in_forward): factory.example_inputs = ["1,4"]
detector.example_inputs = ["64,4"]
inputs.example_inputs = lambda: torch.randn(64, 4)
imported.example_inputs = ["1,4"]
"""
NAMES = ("of_torch", "of_numpy", "of_python", "detector", "inputs", "in_forward")

SCRIPT = """
import random, sys
import numpy as np
import torch
seed = int(sys.argv[1])
torch.manual_seed(seed), np.random.seed(seed), random.seed(seed)
import torchstat_cli as ms
print(ms.profile("gated_models:imported", torch.zeros(1, 4)).total.madds)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "gated_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def seed_everything(seed: int) -> None:
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_profile_of_a_spec(name: str, device: str) -> None:
    found = set()
    for seed in range(6):
        seed_everything(seed)
        found.add(ms.profile(f"gated_models:{name}", device=device).total.madds)
    assert len(found) == 1
    assert found != {0}


def test_the_gate_and_a_profile_agree() -> None:
    for name in NAMES:
        seed_everything(7)
        measured = measure_entry(ModelEntry(name, f"gated_models:{name}", {}))
        assert measured.total.madds == ms.profile(f"gated_models:{name}").total.madds


def test_inputs_of_a_function() -> None:
    found = set()
    for seed in range(6):
        seed_everything(seed)
        entry = ModelEntry("a", "gated_models:detector", {}, inputs_factory="gated_models:batch")
        found.add(measure_entry(entry).total.madds)
    assert len(found) == 1


def test_the_callers_generators_go_on_as_if_nothing_had_run() -> None:
    def drawn() -> tuple[float, float, float]:
        return torch.rand(()).item(), float(np.random.rand()), random.random()

    seed_everything(3)
    expected = drawn()
    seed_everything(3)
    ms.profile("gated_models:of_torch")
    assert drawn() == expected


def test_a_module_that_is_built_when_it_is_imported(folder: Path) -> None:
    def numbers(seed: int) -> str:
        words = [sys.executable, "-c", SCRIPT, str(seed)]
        environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
        return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout

    assert numbers(1) == numbers(2)


def test_load_model_draws_what_the_caller_seeded() -> None:
    torch.manual_seed(5)
    expected = torch.rand(40)
    torch.manual_seed(5)
    model = ms.load_model("gated_models:of_torch")
    assert torch.equal(model.gates.detach(), expected)  # type: ignore[operator, union-attr]
