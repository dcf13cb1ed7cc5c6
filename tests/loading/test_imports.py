"""Modules and files are found, run, and leave the import path alone."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from torchstat_cli.errors import SpecError
from torchstat_cli.loading.imports import find_object

Write = Callable[[str, str], Path]


def test_the_current_directory_comes_first_and_only_during_the_import(write: Write) -> None:
    write("colorsys.py", "where = 'here'\n")
    held = sys.modules.pop("colorsys", None)
    path = list(sys.path)
    try:
        assert find_object("colorsys", "where")[0] == "here"
    finally:
        sys.modules.pop("colorsys", None)
        if held is not None:
            sys.modules["colorsys"] = held
    assert sys.path == path


def test_a_file_finds_its_siblings(write: Write) -> None:
    write("project/layers_beside.py", "value = 3\n")
    write("project/model.py", "from layers_beside import value\n")
    assert find_object("project/model.py", "value")[0] == 3


def test_a_file_of_a_package_may_import_relatively(write: Write) -> None:
    write("kit/__init__.py", "")
    write("kit/inner/__init__.py", "")
    write("kit/layers.py", "value = 4\n")
    write("kit/inner/model.py", "from ..layers import value\n")
    found, import_path = find_object("kit/inner/model.py", "value")
    assert found == 4
    assert import_path == (str(Path.cwd()),)


def test_a_file_cannot_hide_an_installed_module(write: Write) -> None:
    write("json.py", "value = 5\n")
    import json

    assert find_object("json.py", "value")[0] == 5
    assert sys.modules["json"] is json


def test_a_changed_file_is_run_again(write: Write) -> None:
    write("changing.py", "value = 1\n")
    assert find_object("changing.py", "value")[0] == 1
    write("changing.py", "value = 'second'\n")
    assert find_object("changing.py", "value")[0] == "second"


def test_a_failing_file_leaves_nothing_behind(write: Write) -> None:
    path = write("failing.py", "raise ValueError('no')\n")
    modules, search = set(sys.modules), list(sys.path)
    with pytest.raises(SpecError, match=r"importing failing\.py failed: ValueError: no"):
        find_object(str(path), "value")
    assert set(sys.modules) == modules
    assert sys.path == search
