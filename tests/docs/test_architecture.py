"""docs/ARCHITECTURE.md is the house as it stands: it names every room, and no file that is not there."""

from __future__ import annotations

import re

import pytest

from tests.docs.test_pages import ROOT

PAGE = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
PACKAGE = ROOT / "torchstat_cli"
CAPTURE = PAGE.partition("## Inside capture")[2]


def _names(folder_name: str) -> list[str]:
    """Files and folders of Python code in a folder of the package, as the page writes them."""
    entries = sorted((PACKAGE / folder_name).iterdir())
    folders = [f"{entry.name}/" for entry in entries if (entry / "__init__.py").is_file()]
    return [*folders, *(entry.name for entry in entries if entry.suffix == ".py" and entry.name[0] != "_")]


@pytest.mark.parametrize("name", _names(""))
def test_every_room_is_on_the_page(name: str) -> None:
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("name", _names("capture"))
def test_every_file_of_capture_is_on_the_page(name: str) -> None:
    assert f"`{name}`" in CAPTURE


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([\w/]+\.py)`", PAGE))))
def test_every_named_file_is_there(name: str) -> None:
    assert any(path.is_file() for path in (PACKAGE / name, *PACKAGE.glob(f"*/{name}")))
