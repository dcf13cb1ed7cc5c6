"""docs/ARCHITECTURE.md is the house as it stands: every file of every room, and none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.test_pages import ROOT

PAGE = (ROOT / "docs" / "ARCHITECTURE.md").read_text()
PACKAGE = ROOT / "torchstat_cli"
FOLDERS = sorted({path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")} - {"."})
PLACEHOLDERS = ("NAME", "FAMILY")  # in recipes


def entries(folder: Path) -> list[str]:
    """Files and folders of Python code in a folder, as the page writes them."""
    inside = sorted(folder.iterdir())
    folders = [f"{entry.name}/" for entry in inside if (entry / "__init__.py").is_file()]
    return sorted([*folders, *(entry.name for entry in inside if entry.suffix == ".py" and entry.name[0] != "_")])


def section(page: str, heading: str) -> str:
    """What stands below a heading, up to the next one."""
    return page.partition(f"# {heading}\n")[2].partition("\n#")[0]


def files_of(page: str, folder: str) -> list[str]:
    """The first column of a folder's table."""
    return re.findall(r"^\| `([^`]+)` \|", section(page, f"Inside {folder}"), re.MULTILINE)


@pytest.mark.parametrize("name", entries(PACKAGE))
def test_every_room_is_on_the_page(name: str) -> None:
    assert f"`{name}`" in section(PAGE, "The rooms")


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_table_of_a_folder_lists_its_files(folder: str) -> None:
    assert sorted(files_of(PAGE, folder)) == entries(PACKAGE / folder)


def test_every_table_is_of_a_folder() -> None:
    assert sorted(re.findall(r"^#+ Inside (.+)$", PAGE, re.MULTILINE)) == FOLDERS


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([\w/]+\.py)`", PAGE))))
def test_every_named_file_is_there(name: str) -> None:
    if not any(word in name for word in PLACEHOLDERS):
        assert any(path.is_file() for path in (ROOT / name, PACKAGE / name, *PACKAGE.rglob(name)))


def test_the_checker_sees_what_is_missing_or_too_much() -> None:
    table = "## Inside gate\n\n| file | idea |\n| --- | --- |\n| `limits.py` | a |\n| `gone.py` | b |\n"
    page = f"{table}\n## Inside report\n\n| `c.py` | c |\n"
    assert files_of(page, "gate") == ["limits.py", "gone.py"]
    assert files_of(page, "capture") == []
