"""What start-up may import: the command line answers without torch, and a profile without the compiler stack."""

from __future__ import annotations

import subprocess
import sys

import pytest


def imported_by(code: str) -> set[str]:
    """Modules that a fresh interpreter holds after running ``code``."""
    script = f"{code}\nimport sys\nprint('MODULES', *sorted(sys.modules))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "MODULES" in result.stdout, result.stderr
    return set(result.stdout.rpartition("MODULES")[2].split())


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["profile", "--help"], ["check", "--help"], ["nodes", "--help"]]
)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    modules = imported_by(f"from torchstat_cli.cli.main import main; main({words!r})")
    assert not modules & {"torch", "pandas", "rich", "numpy"}


def test_importing_the_package_imports_nothing_heavy() -> None:
    assert not imported_by("import torchstat_cli") & {"torch", "pandas", "rich", "click"}


def test_profiling_a_sample_model_does_not_pull_in_the_compiler() -> None:
    modules = imported_by("import torchstat_cli as ms; ms.profile('sample_models.resnet:resnet18')")
    assert "torch" in modules
    assert not modules & {"torch._dynamo", "torch._inductor", "sympy", "pandas"}


def test_listing_nodes_does_not_load_what_a_profile_takes() -> None:
    modules = imported_by("from torchstat_cli.cli.main import main; main(['nodes', 'sample_models.mlp:mlp'])")
    assert "torchstat_cli.tasks.ladder" in modules
    assert not {name for name in modules if name.startswith(("torchstat_cli.capture", "torchstat_cli.calculators"))}


def test_the_checker_sees_an_import() -> None:
    assert "decimal" in imported_by("import decimal")
