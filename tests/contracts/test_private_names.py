"""Private names of torch stand in ``torch_access/internals.py`` alone, so that another torch is one file's matter."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from torchstat_cli.torch_access.internals import ATTRIBUTES

PACKAGE = Path(__file__).parents[2] / "torchstat_cli"
INTERNALS = PACKAGE / "torch_access" / "internals.py"
FILES = sorted(PACKAGE.rglob("*.py"))


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def private_names_of_torch(tree: ast.AST) -> Iterator[str]:
    """Private modules, functions and classes of torch that the code imports or reaches through a module of torch."""
    modules = {"torch"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "torch":
                    modules.add(alias.asname or "torch")
                    if any(map(is_private, alias.name.split("."))):
                        yield alias.name
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch":
            modules.update(alias.asname or alias.name for alias in node.names if (alias.asname or alias.name).islower())
            modules.update({alias.asname for alias in node.names if alias.asname})
            for alias in node.names:
                if any(map(is_private, f"{node.module}.{alias.name}".split("."))):
                    yield f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        dotted = _dotted(node) if isinstance(node, ast.Attribute) else None
        # A tensor or a module class has private attributes too; those have a list of their own.
        if dotted is not None and dotted[0] in modules and any(map(is_private, dotted)):
            yield ".".join(dotted)


def _dotted(node: ast.AST) -> list[str] | None:
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        before = _dotted(node.value)
        return None if before is None else [*before, node.attr]
    return None


def own_names() -> set[str]:
    """Private names that the package itself gives."""
    names: set[str] = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                names.add(node.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                names.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node.value):
                names.add(node.attr)
    return names


def _is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def foreign_private_attributes() -> dict[str, str]:
    """Private attributes of objects that are not the package's own, and a file that reads each."""
    own = own_names()
    found: dict[str, str] = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Attribute) or not is_private(node.attr) or _is_self(node.value):
                continue
            if node.attr not in own or node.attr in ATTRIBUTES:
                found[node.attr] = str(path.relative_to(PACKAGE))
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_private_name_of_torch_outside_its_room(path: Path) -> None:
    if path != INTERNALS:
        assert list(private_names_of_torch(ast.parse(path.read_text()))) == []


def test_private_attributes_are_those_on_the_list() -> None:
    """An attribute that is read and not listed, or listed and no longer read, fails."""
    found = foreign_private_attributes()
    allowed = {"_exit", "_getframe", "_replace"}  # of os, of sys, and of named tuples
    assert sorted(set(found) - allowed) == sorted(ATTRIBUTES)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import torch\ntorch._C._dispatch_keys(x)", True),
        ("import torch\ntorch.ops.aten._scaled_dot_product_attention_math", True),
        ("from torch._ops import OpOverload", True),
        ("from torch.utils._python_dispatch import TorchDispatchMode", True),
        ("from torch.overrides import _push_mode", True),
        ("import torch._dynamo", True),
        ("from torch import nn\nnn.modules.dropout._DropoutNd", True),
        ("import torch.nn.functional as F\nF._pad", True),
        ("import torch\ntorch.__version__", False),
        ("import torch\ntensor._version", False),
    ],
)
def test_the_wall_sees(code: str, found: bool) -> None:
    assert bool(list(private_names_of_torch(ast.parse(code)))) is found
