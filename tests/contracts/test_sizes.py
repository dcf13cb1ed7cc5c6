"""Sizes that a reader can take in: how many files a folder holds, and how many lines a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.test_imports import PACKAGE

MOST_FILES = 18
MOST_LINES = 300
# Lists of equals, which a subdivision would hide: a file per operator family, and per step from a spec to a model.
LISTS_OF_EQUALS = {"calculators/formulas", "loading"}

FILES = sorted(PACKAGE.rglob("*.py"))
FOLDERS = sorted({path.parent.relative_to(PACKAGE).as_posix() for path in FILES})


def python_files(folder: Path) -> int:
    return len(list(folder.glob("*.py")))


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_folder_holds_more_files_than_a_reader_can_survey(folder: str) -> None:
    if folder not in LISTS_OF_EQUALS:
        assert python_files(PACKAGE / folder) <= MOST_FILES, "divide it into folders with names that a stranger guesses"


@pytest.mark.parametrize("folder", sorted(LISTS_OF_EQUALS))
def test_exceptions_are_needed(folder: str) -> None:
    assert python_files(PACKAGE / folder) > MOST_FILES


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_file_is_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES
