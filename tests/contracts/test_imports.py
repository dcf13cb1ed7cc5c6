"""The walls of the house: which room may import which, and who may import torch, pandas and rich."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "torchstat_cli"

# A room is a folder of the package, or a module at its top. Rooms may always import themselves.
# What each room imports, no more and no less.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "foreign_text": set(),
    "replacing": set(),
    "standard_streams": set(),
    "version": set(),
    "torch_version": {"errors"},
    "units": {"foreign_text"},
    "records": set(),
    "python_remedies": {"errors"},
    "devices": {"errors"},
    "torch_access": {"errors", "foreign_text", "torch_version"},
    "calculators": {"errors", "foreign_text", "records", "units"},
    "loading": {"errors", "foreign_text", "records", "torch_access", "units"},
    "capture": {"errors", "foreign_text", "records", "torch_access", "units"},
    "activations": {"errors", "foreign_text", "replacing", "torch_access"},
    "gate": {"errors", "foreign_text", "records", "replacing", "standard_streams", "units"},
    "report": {"errors", "foreign_text", "gate", "records", "replacing", "standard_streams", "units"},
    "tasks": {
        "activations",
        "calculators",
        "capture",
        "errors",
        "foreign_text",
        "gate",
        "loading",
        "records",
        "torch_access",
        "units",
        "version",
    },
    "api": {
        "calculators",
        "capture",
        "errors",
        "foreign_text",
        "loading",
        "python_remedies",
        "report",
        "tasks",
        "torch_access",
    },
    "pytest_gate": {"errors", "foreign_text", "gate", "records", "report", "tasks"},
    "pytest_plugin": {"pytest_gate"},
    "cli": {
        "devices",
        "errors",
        "foreign_text",
        "gate",
        "loading",
        "records",
        "report",
        "standard_streams",
        "tasks",
        "torch_version",
        "units",
        "version",
    },
    "__init__": {"activations", "api", "errors", "records", "report", "torch_version", "version"},
    "__main__": {"cli"},
}
HEAVY: dict[str, set[str]] = {
    "torch": {"torch_access", "loading", "capture", "activations", "tasks", "api"},
    "pandas": {"report"},
    "rich": {"report", "cli"},
}


@cache
def rooms() -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).parts
        found.setdefault(parts[0].removesuffix(".py"), []).append(path)
    return found


def run_time_imports(path: Path) -> set[str]:
    """Dotted names that ``path`` imports when it runs, anywhere in the file; annotations' imports are left out."""
    names: set[str] = set()
    pending: list[ast.AST] = [ast.parse(path.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            pending.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise AssertionError(f"{path}:{node.lineno}: write imports in full")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        pending.extend(ast.iter_child_nodes(node))
    return names


def named_imports(path: Path) -> set[str]:
    """Modules of this repository that ``path`` may import by names in strings, by a call of ``import_module``.

    A part of the name that is computed may be any word that the file holds as a string: keys and values of its tables.
    """
    tree = ast.parse(path.read_text())
    strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    words = {text for text in strings if re.fullmatch(r"\w+(\.\w+)*", text)}
    names: set[str] = set()
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or _last_name(call.func) not in ("import_module", "__import__"):
            continue
        parts = _parts(call.args[0], path)
        found = {name for word in words if _exists(name := "".join(part or word for part in parts))}
        if (parts[0] or "").startswith(PACKAGE.name) and not found:
            raise AssertionError(f"{path}:{call.lineno}: which module is this?")
        names |= found
    return names


def _last_name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _parts(name: ast.expr, path: Path) -> list[str | None]:
    """The pieces of a name in a string, None for one that is computed."""
    if isinstance(name, ast.JoinedStr):
        return [part for piece in name.values for part in _parts(piece, path)]
    if isinstance(name, ast.FormattedValue):
        return _parts(name.value, path)
    if isinstance(name, ast.Name) and name.id == "__name__":
        return [module_of(path)]
    return [name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else None]


def module_of(path: Path) -> str:
    """The dotted name of a file, as ``__name__`` has it."""
    folder = PACKAGE.parent if path.is_relative_to(PACKAGE) else path.parent
    return ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")


def rooms_used(room: str) -> set[str]:
    """The other rooms that a room imports, by statements and by names in strings."""
    names = {name for path in rooms()[room] for name in run_time_imports(path) | named_imports(path)}
    return {used for name in names if (used := room_of(name)) is not None} - {room}


def room_of(name: str) -> str | None:
    """The room of this package that a dotted name lies in; None for other packages."""
    parts = name.split(".")
    if parts[0] != "torchstat_cli":
        return None
    known = rooms()
    return parts[1] if len(parts) > 1 and parts[1] in known else "__init__"


@pytest.mark.parametrize("room", sorted(rooms()))
def test_room_imports_only_what_it_may(room: str) -> None:
    assert room in ALLOWED, f"{room} is a new room: say here which rooms it may import"
    for path in rooms()[room]:
        used = {room_of(name) for name in run_time_imports(path) | named_imports(path)} - {None, room}
        assert used <= ALLOWED[room], f"{path.name} imports {sorted(used - ALLOWED[room])}"


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_no_allowance_is_unused(room: str) -> None:
    assert room in rooms(), f"{room} is gone: take its line out"
    unused = ALLOWED[room] - rooms_used(room)
    assert not unused, f"{room} does not import {sorted(unused)}: take them out of its line"


@pytest.mark.parametrize("library", sorted(HEAVY))
def test_heavy_library_stays_in_its_rooms(library: str) -> None:
    users = {
        room
        for room, paths in rooms().items()
        if any(name.split(".")[0] == library for path in paths for name in run_time_imports(path))
    }
    assert users == HEAVY[library]


def test_only_frame_imports_pandas() -> None:
    users = [
        path.name
        for paths in rooms().values()
        for path in paths
        if any(name.split(".")[0] == "pandas" for name in run_time_imports(path))
    ]
    assert users == ["frame.py"]


def test_no_file_imports_itself_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for paths in rooms().values():
        for path in paths:
            graph[module_of(path)] = _import_time_modules(path)
    for start in graph:
        assert start not in _reachable(start, graph), f"{start} imports itself in a circle"


def _import_time_modules(path: Path) -> set[str]:
    """Modules of this package that importing ``path`` imports: functions' own imports are left out."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torchstat_cli"):
            for alias in node.names:
                dotted = f"{node.module}.{alias.name}"
                names.add(dotted if _exists(dotted) else str(node.module))
    return names


def _exists(dotted: str) -> bool:
    place = PACKAGE.parent.joinpath(*dotted.split("."))
    return place.with_suffix(".py").exists() or (place / "__init__.py").exists()


def _reachable(start: str, graph: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    pending = list(graph.get(start, ()))
    while pending:
        module = pending.pop()
        if module not in seen:
            seen.add(module)
            pending.extend(graph.get(module, ()))
    return seen


def test_the_checker_sees_a_forbidden_import(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("def late():\n    import torch\n    from torchstat_cli.cli import main\n")
    assert "torch" in run_time_imports(bad)
    assert room_of("torchstat_cli.cli.main") == "cli"


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ('import_module("torchstat_cli.gate")', {"torchstat_cli.gate"}),
        ('importlib.import_module("torchstat_cli.gate.limits")', {"torchstat_cli.gate.limits"}),
        ('__import__("torchstat_cli.gate")', {"torchstat_cli.gate"}),
        (
            'HOMES = {"gate": ("limits",), "report.report": ("Report",)}\nimport_module(f"torchstat_cli.{HOMES[0]}")',
            {"torchstat_cli.gate", "torchstat_cli.report.report"},
        ),
        ('NAMES = ["torchstat_cli.gate"]\nfor name in NAMES:\n    import_module(name)', {"torchstat_cli.gate"}),
        ('import_module("torch")', set()),
        ('print("torchstat_cli.gate")', set()),
    ],
)
def test_the_checker_sees_names_in_strings(code: str, names: set[str], tmp_path: Path) -> None:
    path = tmp_path / "file.py"
    path.write_text(code)
    assert named_imports(path) == names


def test_the_checker_asks_where_it_cannot_see(tmp_path: Path) -> None:
    path = tmp_path / "file.py"
    path.write_text('import_module(f"torchstat_cli.{name}")')
    with pytest.raises(AssertionError, match="which module is this"):
        named_imports(path)


@pytest.mark.parametrize(
    ("file", "names"),
    [
        ("__init__.py", {"activations", "api", "errors", "records", "report.report"}),
        ("activations/__init__.py", {"activations.runtime.observation", "activations.recorder"}),
        ("report/__init__.py", {"report.profile.formats.html"}),
        ("cli/main.py", {"cli.profile", "cli.nodes"}),
    ],
)
def test_the_tables_of_names_are_seen(file: str, names: set[str]) -> None:
    assert {f"torchstat_cli.{name}" for name in names} <= named_imports(PACKAGE / file)
