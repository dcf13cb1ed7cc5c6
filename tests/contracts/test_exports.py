"""What is public: the lists, the modules that define the names, and the pages that promise them say the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import ModuleType

import pytest

import torchstat_cli as ms
from tests.contracts.test_imports import rooms, run_time_imports
from torchstat_cli import activations, api

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PACKAGES = [ms, activations]
EXPORTED = [(package, home, name) for package in PACKAGES for home, names in package._HOMES.items() for name in names]


def folder_of(package: ModuleType) -> Path:
    return Path(str(package.__file__)).parent


def defined_in(path: Path) -> set[str]:
    """Classes and functions at the top of a file that no underscore marks as its own."""
    kinds = (ast.ClassDef, ast.FunctionDef)
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, kinds) and node.name[0] != "_"}


def typed_homes(package: ModuleType) -> dict[str, str]:
    """By name, the module from which type checkers take it: the imports under ``TYPE_CHECKING``."""
    tree = ast.parse(Path(str(package.__file__)).read_text())
    blocks = [node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name: str(node.module) for node in imports for alias in node.names}


def promised(package: ModuleType) -> set[str]:
    """The names in the package's table of docs/python.md."""
    section = (ROOT / "docs" / "python.md").read_text().partition(f"## `{package.__name__}`\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for cell in rows for name in re.findall(r"`(\w+)`", cell)}


@pytest.mark.parametrize("package", PACKAGES)
def test_all_is_what_the_page_promises(package: ModuleType) -> None:
    assert list(package.__all__) == sorted(package.__all__)
    assert set(package.__all__) == promised(package)


@pytest.mark.parametrize("package", PACKAGES)
def test_all_is_what_resolves_and_what_type_checkers_see(package: ModuleType) -> None:
    homes = {name: f"{package.__name__}.{home}" for owner, home, name in EXPORTED if owner is package}
    assert set(package.__all__) == set(homes)
    assert typed_homes(package) == homes
    assert set(package.__all__) <= set(dir(package))


@pytest.mark.parametrize(("package", "home", "name"), EXPORTED)
def test_a_name_is_defined_where_its_home_is(package: ModuleType, home: str, name: str) -> None:
    value = getattr(package, name)
    assert value.__name__ == name
    assert f"{value.__module__}.".startswith(f"{package.__name__}.{home}.")


def test_the_api_defines_the_public_verbs_and_nothing_else() -> None:
    assert defined_in(Path(str(api.__file__))) == set(api.__all__) == set(ms._HOMES["api"])


@pytest.mark.parametrize("home", activations._HOMES)
def test_what_a_home_defines_is_public_or_of_use_inside(home: str) -> None:
    """A verb that nothing here calls is one that somebody forgot to export."""
    path = folder_of(activations).joinpath(*home.split(".")).with_suffix(".py")
    others = (other for paths in rooms().values() for other in paths if other != path)
    used = {name for other in others for name in run_time_imports(other)}
    inside = {name for name in defined_in(path) if f"torchstat_cli.activations.{home}.{name}" in used}
    assert defined_in(path) - inside <= set(activations.__all__)


def test_activations_hold_all_that_the_package_takes_from_them() -> None:
    assert set(ms._HOMES["activations"]) <= set(activations.__all__)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_use_public_names_alone(page: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
        assert set(re.findall(r"\bms\.(\w+)", block)) <= set(ms.__all__)
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torchstat_cli"):
                package = {each.__name__: each for each in PACKAGES}[str(node.module)]
                assert {alias.name for alias in node.names} <= set(package.__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_an_unknown_name_is_an_attribute_error(package: ModuleType) -> None:
    assert not hasattr(package, "profil")


def test_the_checker_sees_what_a_file_defines(tmp_path: Path) -> None:
    path = tmp_path / "file.py"
    path.write_text("def verb(): ...\ndef _own(): ...\nclass Noun:\n    def method(self): ...\nNUMBER = 1\n")
    assert defined_in(path) == {"verb", "Noun"}
