"""The version stands in one file, and everything that says it says the same."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn

import torchstat_cli as ms
from torchstat_cli.version import __version__

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
BUILD: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
# How hatchling finds a version in the file that it is pointed at.
WRITTEN = re.compile(
    r"^(?:__version__|VERSION)(?: ?: ?str)? ?= ?(['\"])v?(?P<version>.+?)\1", re.IGNORECASE | re.MULTILINE
)


def test_the_build_reads_the_file() -> None:
    assert "version" not in BUILD["project"]
    assert "version" in BUILD["project"]["dynamic"]
    text = (ROOT / BUILD["tool"]["hatch"]["version"]["path"]).read_text()
    assert [match["version"] for match in WRITTEN.finditer(text)] == [__version__]


def test_the_version_is_one_that_installers_can_order() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?(\.dev\d+)?", __version__)


def test_the_installed_package_says_the_same() -> None:
    try:
        installed = importlib.metadata.version(BUILD["project"]["name"])
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package is imported from its folder, not installed")
    assert installed == __version__, "the installed metadata is of another version: install again"


def test_the_citation_says_the_same() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["version"], citation["title"]) == (__version__, "modelstat")
    assert citation["license"] == BUILD["project"]["license"]


def test_no_other_file_of_the_package_says_it() -> None:
    others = [path.name for path in (ROOT / "torchstat_cli").rglob("*.py") if f'"{__version__}"' in path.read_text()]
    assert others == ["version.py"]


def test_the_package_and_every_report_say_it() -> None:
    assert ms.__version__ == __version__
    model, rows = nn.Linear(4, 4), torch.zeros(2, 4)
    with ms.instrument(model) as capture:
        model(rows)
    for report in (ms.profile(model, rows), capture.profile()):
        assert report.provenance.version == __version__
