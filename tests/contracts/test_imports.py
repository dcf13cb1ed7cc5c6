"""The walls of the house: which room may import which, and who may import torch, pandas and rich."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "torchstat_cli"

# A room is a folder of the package, or a module at its top. Rooms may always import themselves.
BASE = {"errors", "foreign_text", "records", "units"}
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "foreign_text": set(),
    "version": set(),
    "units": {"errors"},
    "records": set(),
    "devices": {"errors"},
    "torch_access": {"errors", "foreign_text"},
    "calculators": {*BASE, "devices"},
    "loading": {*BASE, "torch_access"},
    "capture": {*BASE, "torch_access"},
    "activations": {*BASE, "torch_access"},
    "gate": BASE,
    "report": {*BASE, "devices", "gate"},
    "tasks": {
        *BASE,
        "activations",
        "calculators",
        "capture",
        "devices",
        "gate",
        "loading",
        "torch_access",
        "version",
    },
    "api": {*BASE, "calculators", "capture", "loading", "report", "tasks", "torch_access"},
    "pytest_gate": {*BASE, "gate", "report", "tasks"},
    "pytest_plugin": {"pytest_gate"},
    "cli": {*BASE, "devices", "gate", "loading", "report", "tasks", "version"},
    "__init__": {"activations", "api", "errors", "records", "report", "version"},
    "__main__": {"cli"},
}
HEAVY: dict[str, set[str]] = {
    "torch": {"torch_access", "loading", "capture", "activations", "tasks", "api"},
    "pandas": {"report"},
    "rich": {"report", "cli"},
}


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
        used = {room_of(name) for name in run_time_imports(path)} - {None, room}
        assert used <= ALLOWED[room], f"{path.name} imports {sorted(used - ALLOWED[room])}"


@pytest.mark.parametrize("library", sorted(HEAVY))
def test_heavy_library_stays_in_its_rooms(library: str) -> None:
    users = {
        room
        for room, paths in rooms().items()
        if any(name.split(".")[0] == library for path in paths for name in run_time_imports(path))
    }
    assert users <= HEAVY[library]


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
            module = ".".join(("torchstat_cli", *path.relative_to(PACKAGE).with_suffix("").parts))
            graph[module.removesuffix(".__init__")] = _import_time_modules(path)
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
