"""Follow the recipes of docs/ARCHITECTURE.md in a copy of the package: add a toy through the places that each names."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from tests.docs.test_architecture import PAGE, ROOT, section

NETS = """
import torch
from torch import nn

NET = nn.Sequential(nn.Linear(2, 3), nn.ReLU())  # of 4 samples: 12 numbers, twice
X = torch.ones(4, 2)
"""

# One process for several commands: importing torch takes most of the time.
_COMMANDS = """
import io, json, shlex, sys
from contextlib import redirect_stderr, redirect_stdout
from torchstat_cli.cli.main import main

printed = []
for line in sys.argv[1:]:
    results, messages = io.StringIO(), io.StringIO()
    with redirect_stdout(results), redirect_stderr(messages):
        main(shlex.split(line))
    printed.append(results.getvalue() + messages.getvalue())
print(json.dumps(printed))
"""


@dataclass(frozen=True)
class Copy:
    """A copy of the package in which one recipe is followed: what the recipe does not name cannot be touched."""

    root: Path
    recipe: str  # its text

    def write(self, place: str, code: str) -> None:
        """Make a file that the recipe names, such as ``cli/NAME.py``."""
        path = self._path(place)
        assert not path.exists()
        path.write_text(dedent(code).lstrip())

    def insert(self, place: str, line: str, *, after: str) -> None:
        """Add lines to a file that the recipe names, below the first one that holds ``after``."""
        self.replace(place, rf"(.*{re.escape(after)}.*\n)", lambda found: f"{found[1]}{line}\n")

    def replace(self, place: str, old: str, new: str | Callable[[re.Match[str]], str]) -> None:
        """Change the first match of ``old`` in a file that the recipe names."""
        path = self._path(place)
        text, times = re.subn(old, new, path.read_text(), count=1)
        assert times == 1, f"{place} holds no {old!r}"
        path.write_text(text)

    def _path(self, place: str) -> Path:
        assert f"`{place}`" in self.recipe, f"the recipe does not name {place}"
        name = place.replace("NAME", "toy").replace("FAMILY", "toy")
        return self.root / name if name.startswith(("tests/", "torchstat_cli/")) else self.root / "torchstat_cli" / name

    def python(self, code: str) -> list[str]:
        """The lines that ``code`` prints beside this copy of the package."""
        done = self._run("-c", dedent(code))
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def commands(self, *lines: str) -> list[str]:
        """What ``modelstat`` of this copy prints for each line, first its results, then its messages."""
        done = self._run("-c", _COMMANDS, *lines)
        assert done.returncode == 0, done.stderr
        printed: list[str] = json.loads(done.stdout)
        return printed

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return run(self.root, os.pathsep.join((str(self.root), str(ROOT))), *words)


def run(folder: Path, python_path: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A Python process in ``folder``."""
    environment = {**os.environ, "PYTHONPATH": python_path}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def follow(recipe: str, root: Path) -> Copy:
    """A copy of the package for one recipe; the same ``root`` may serve several."""
    text = section(PAGE, recipe)
    assert text, f"there is no recipe {recipe!r}"
    if not (root / "torchstat_cli").exists():
        shutil.copytree(ROOT / "torchstat_cli", root / "torchstat_cli", ignore=shutil.ignore_patterns("__pycache__"))
        (root / "nets.py").write_text(NETS)
    walls = root / "tests" / "contracts" / "test_sub_rooms.py"
    if not walls.exists():
        walls.parent.mkdir(parents=True)
        shutil.copy(ROOT / walls.relative_to(root), walls)
    return Copy(root, text)


def add_metric(root: Path) -> Copy:
    """How many numbers operators put out."""
    copy = follow("A metric", root)
    copy.write(
        "calculators/NAME.py",
        '''
        """Numbers that an operator puts out."""

        from torchstat_cli.records import OpRecord


        def toy(op: OpRecord) -> int:
            return sum(tensor.numel for tensor in op.outputs)
        ''',
    )
    copy.insert("records/work.py", "    toy: int = 0", after="mem_write: int = 0")
    copy.insert("records/profile.py", "    toy: int", after="    mem_write: int")
    copy.insert("calculators/work.py", '        "toy": toy(op),', after='"mem_write": moved.written')
    copy.insert("calculators/work.py", "from torchstat_cli.calculators.toy import toy", after="calculators.registry")
    copy.insert("report/profile/columns.py", '    Column("toy", "toys", "count", 40),', after='Column("mem_write"')
    return copy


def add_derived_metric(root: Path) -> Copy:
    """FLOPs per call."""
    copy = follow("A metric", root)
    line = '    Column("toy", "FLOP/call", "ratio", 40, lambda row, _: row.flops / row.calls),'
    copy.insert("report/profile/columns.py", line, after='Column("intensity"')
    return copy


def add_limit(root: Path) -> Copy:
    """On the bytes that are written."""
    copy = follow("A number that the gate limits", root)
    copy.insert("gate/metrics.py", '        Metric("toy", "bytes", "mem_write", "mem_write"),', after='Metric("memory"')
    return copy


def add_formula(root: Path) -> Copy:
    """One in a family of its own, and an operator that is free."""
    copy = follow("An operator formula", root)
    copy.write(
        "calculators/formulas/FAMILY.py",
        '''
        """Toys."""

        from torchstat_cli.calculators.counting import per_element
        from torchstat_cli.calculators.registry import BUILTIN
        from torchstat_cli.records import Cost, OpRecord


        @BUILTIN.formula("toys.twice")
        def twice(op: OpRecord) -> Cost:
            """7 per number."""
            return per_element(op, 7)
        ''',
    )
    copy.insert("calculators/formulas/__init__.py", "    toy,", after="spectral,")
    copy.insert("calculators/formulas/free.py", "    toys_only_move", after='_VIEWS = """')
    return copy


def add_rule(root: Path) -> Copy:
    """For an operator that has none, in a family of its own."""
    copy = follow("A fast rule for a meta kernel", root)
    copy.write(
        "capture/dispatch/meta_kernels/FAMILY.py",
        '''
        """Toys."""

        from torchstat_cli.capture.dispatch.meta_kernels.rules import new, plain, rule

        ASKED = []


        @rule("sinc")
        def _sinc(input):
            ASKED.append(tuple(input.shape))
            return new(input.shape, input) if plain(input) else NotImplemented
        ''',
    )
    copy.insert("capture/dispatch/meta_kernels/__init__.py", "    toy,", after="reductions,")
    return copy


def add_format(root: Path) -> Copy:
    """The class and its parameters, in one line."""
    copy = follow("An output format", root)
    copy.write(
        "report/profile/formats/NAME.py",
        '''
        """Toys."""


        def render(profile, view=None):
            return f"{profile.provenance.class_name}: {profile.total.params}\\n"
        ''',
    )
    copy.replace("report/__init__.py", '"html"', '"html", "toy"')
    return copy


def add_command(root: Path) -> Copy:
    """One that plays with a model."""
    copy = follow("A command", root)
    copy.write(
        "cli/NAME.py",
        '''
        """Toys."""

        import click

        from torchstat_cli.errors import UsageError


        @click.command(name="toy")
        @click.argument("model")
        def command(model):
            """Play."""
            if model == "none":
                raise UsageError("there is no toy", "take another")
            print(f"playing with {model}")
        ''',
    )
    copy.insert("cli/main.py", '    "toy": "Play with a model.",', after='"ops": "')
    return copy


def add_library(root: Path) -> Copy:
    """The models of a package ``toylib``."""
    copy = follow("A model library", root)
    copy.write(
        "loading/NAME_models.py",
        '''
        """Toys."""

        import importlib

        from torchstat_cli.loading.builders import library_source


        def _models():
            return importlib.import_module("toylib").MODELS


        def names():
            return sorted(_models())


        def knows(name):
            return name in _models()


        def find(name, arguments, *, online=False):
            return library_source(f"toylib:{name}", _models()[name], arguments, defaults={}, example_inputs=("4,2",))
        ''',
    )
    catalog = 'Catalog(toy_models.names, toy_models.knows, "toylib.MODELS")'
    entry = f'    Provider("toys", "toylib", "pip install toylib", toy_models.find, {catalog}),'
    copy.insert("loading/providers.py", entry, after="    SAMPLES,")
    copy.replace("loading/providers.py", "torchvision_models\n", "torchvision_models, toy_models\n")
    return copy


def add_extractor(root: Path) -> Copy:
    """One layer's output."""
    copy = follow("An extractor", root)
    copy.write(
        "activations/NAME.py",
        '''
        """Toys."""

        from torchstat_cli.activations.runtime.observation import observe


        class Toy:
            def __init__(self, model, name):
                self.model, self.name = model, name

            def __call__(self, *inputs):
                with observe(self.model, [self.name]) as seen:
                    self.model(*inputs)
                return seen[self.name]
        ''',
    )
    copy.insert("activations/__init__.py", '    "toy": ("Toy",),', after='"recorder": ("Recorder",)')
    copy.insert("torchstat_cli/__init__.py", '        "Toy",', after='        "Recorder",')
    for place in ("activations/__init__.py", "torchstat_cli/__init__.py"):
        copy.replace(place, r'(\n    "Recorder",\n)', r'\1    "Toy",\n')
    walls = "tests/contracts/test_sub_rooms.py"
    copy.insert(walls, '        "toy": {"runtime"},', after='"features": {"graph"')
    copy.replace(walls, '"recorder", "runtime"},\n    },', '"recorder", "runtime", "toy"},\n    },')
    return copy


def add_private_name(root: Path) -> Copy:
    """One that torch has, and one that it lacks."""
    copy = follow("A way to touch torch", root)
    for line in ('toy = _want("torch._assert", "toys")', 'broken_toy = _want("torch._toy_of_old", "broken toys")'):
        copy.insert("torch_access/internals.py", line, after="DropoutBase = ")
    return copy


def add_device(root: Path) -> Copy:
    """One of 3 GB."""
    copy = follow("A known device", root)
    copy.insert("devices.py", '        Device("toy", 3, "https://example.com/toy"),', after='Device("mi300x"')
    return copy


EVERY_RECIPE = (
    *(add_metric, add_limit, add_formula, add_rule, add_format, add_command, add_library, add_extractor),
    *(add_private_name, add_device),
)
"""Together they touch no name twice, so one copy can hold all of them."""
