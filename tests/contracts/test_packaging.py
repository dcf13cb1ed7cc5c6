"""What an installer gets: everything that the code imports is declared, and archives carry what their users need."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

import sample_models

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
BUILD: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
DECLARED = {re.split(r"[<>=; ]", text)[0] for text in BUILD["project"]["dependencies"]}


def test_what_every_profile_imports_is_declared() -> None:
    code = (
        "import sys, torchstat_cli as ms; ms.profile('sample_models/mlp', train=True).to_pandas(); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    imported = {name.partition(".")[0] for name in done.stdout.split()}
    assert {"torch", "pandas", "numpy"} <= imported & DECLARED
    assert not {"torchvision", "timm", "transformers", "safetensors", "PIL"} & imported


def test_the_source_archive_holds_what_its_tests_open() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("this is an unpacked archive")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    top = {name.partition("/")[0] for name in tracked}
    included = set(BUILD["tool"]["hatch"]["build"]["targets"]["sdist"]["include"])
    assert top - included == {".gitignore", "pyproject.toml"}  # hatchling adds these two itself


@pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="building needs hatchling")
def test_the_wheel_carries_the_sample_models_inside_the_package(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    names = zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist()
    assert {name.partition("/")[0] for name in names if "dist-info" not in name} == {"torchstat_cli"}
    modules = {spec.partition(":")[0].partition(".")[2] for spec in sample_models.CATALOG.values()}
    assert {f"torchstat_cli/sample_models/{module}.py" for module in modules} <= set(names)
    assert not any("__pycache__" in name for name in names)


def test_no_page_or_message_names_a_placeholder() -> None:
    pages = [ROOT / "README.md", ROOT / "action.yml", *(ROOT / "docs").glob("*.md")]
    assert [
        page.name for page in pages if re.search(r"\bOWNER\b|github\.com/(?:your|example|user)\b", page.read_text())
    ] == []
