"""The walls inside the rooms: which folders and files of the large ones import which, always downward; no circles."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.contracts.test_imports import PACKAGE, named_imports, run_time_imports

# By room, from the ground up: what each of its folders and files imports of the room, always what stands above it.
INSIDE: dict[str, dict[str, set[str]]] = {
    "capture": {
        "__init__": set(),
        "layouts": set(),
        "autograd": set(),
        "cpu_kernels": {"layouts"},
        "emulation": set(),
        "instrumentation": set(),
        "dispatch": {"cpu_kernels", "layouts"},
        "values": {"dispatch"},
        "kernel_steps": {"emulation"},
        "memory": {"cpu_kernels", "dispatch", "kernel_steps"},
        "attribution": {"instrumentation"},
        "tape": {"dispatch", "memory", "values"},
        "timing": {"autograd", "instrumentation", "values"},
        "failures": {"instrumentation"},
        "session": {"dispatch", "emulation", "instrumentation", "tape", "values"},
        "training": {"attribution", "failures", "memory", "session", "values"},
        "fast_paths": {"memory", "session"},
        "run": {
            *("autograd", "dispatch", "emulation", "failures", "fast_paths", "instrumentation", "kernel_steps"),
            *("memory", "session", "tape", "training", "values"),
        },
        "generation": {"autograd", "emulation", "failures", "run", "session", "tape"},
    },
    "activations": {
        "outputs": set(),
        "events": set(),
        "selection": set(),
        "saving": set(),
        "attention": {"events", "outputs", "selection"},
        "runtime": {"attention", "events", "outputs", "selection"},
        "graph": {"outputs", "runtime", "selection"},
        "nodes": {"attention", "events", "graph", "runtime", "selection"},
        "extractor": {"outputs", "runtime", "selection"},
        "recorder": {"attention", "events", "outputs", "runtime", "selection"},
        "intermediate_base": {"outputs", "runtime", "selection"},
        "intermediate": {"attention", "intermediate_base", "runtime", "saving", "selection"},
        "features": {"graph", "nodes", "runtime", "selection"},
        "__init__": {"attention", "extractor", "features", "intermediate", "intermediate_base", "recorder", "runtime"},
    },
    "gate": {
        "__init__": set(),
        "metrics": set(),
        "config_table": set(),
        "workers": set(),
        "limits": {"metrics"},
        "config": {"config_table", "limits", "metrics"},
        "config_file": {"config"},
        "layer_groups": {"metrics"},
        "baseline": {"layer_groups", "metrics"},
        "explain": {"layer_groups", "metrics"},
        "verdict": {"explain", "limits"},
        "compare": {"baseline", "explain", "metrics"},
        "judge": {"baseline", "config", "config_table", "explain", "layer_groups", "limits", "metrics", "verdict"},
        "run": {"baseline", "config", "judge", "limits", "verdict"},
    },
    "report": {
        "terminal": set(),
        "width": set(),
        "names": set(),
        "cleaning": set(),
        "layout": {"width"},
        "writing": {"terminal"},
        "listing": {"layout", "terminal", "width"},
        "nodes": {"listing", "terminal"},
        "fit": {"cleaning", "layout", "names"},
        "weights": {"cleaning", "layout", "terminal"},
        "explanation": {"cleaning", "layout", "names", "terminal", "width"},
        "web": set(),
        "profile": {"layout", "names", "terminal", "web", "width"},
        "verdict": {"cleaning", "layout", "names", "width"},
        "sweep": {"cleaning", "layout", "profile", "writing"},
        "__init__": {"profile"},
        "report": {"__init__", "profile", "terminal", "web", "writing"},
    },
}
EVERY_ENTRY = [(room, entry) for room, table in INSIDE.items() for entry in table]
FOLDERS = sorted({path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")} - {"."})


@cache
def imports_of(path: Path) -> set[str]:
    """Dotted names that a file imports, by statements and by names in strings."""
    return run_time_imports(path) | named_imports(path)


@cache
def entries(room: str) -> dict[str, list[Path]]:
    """Folders and files of a room, with the Python files that they hold."""
    found: dict[str, list[Path]] = {}
    for path in sorted((PACKAGE / room).rglob("*.py")):
        found.setdefault(path.relative_to(PACKAGE / room).parts[0].removesuffix(".py"), []).append(path)
    return found


def entry_of(room: str, name: str) -> str | None:
    """The folder or file of a room that a dotted name lies in; None for names of other rooms."""
    package, _, rest = name.partition(f"{PACKAGE.name}.{room.replace('/', '.')}")
    if package or rest[:1] not in ("", "."):
        return None
    first = rest.removeprefix(".").partition(".")[0]
    return first if first in entries(room) else "__init__"


@pytest.mark.parametrize("room", sorted(INSIDE))
def test_every_entry_has_its_place(room: str) -> None:
    assert sorted(INSIDE[room]) == sorted(entries(room))


@pytest.mark.parametrize(("room", "entry"), EVERY_ENTRY)
def test_entry_imports_what_the_table_says(room: str, entry: str) -> None:
    names = {name for path in entries(room)[entry] for name in imports_of(path)}
    assert {entry_of(room, name) for name in names} - {None, entry} == INSIDE[room][entry]


@pytest.mark.parametrize(("room", "entry"), EVERY_ENTRY)
def test_arrows_go_down(room: str, entry: str) -> None:
    order = list(INSIDE[room])
    assert INSIDE[room][entry] <= set(order[: order.index(entry)])


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_folders_and_files_import_each_other_in_a_circle(folder: str) -> None:
    graph = {
        entry: {found for path in paths for name in imports_of(path) if (found := entry_of(folder, name))} - {entry}
        for entry, paths in entries(folder).items()
    }
    assert circle_in(graph) == []


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """The entries that are left when those are taken out, one after the other, that import nothing more."""
    left = dict(graph)
    while free := [entry for entry, used in left.items() if not used & set(left)]:
        for entry in free:
            del left[entry]
    return sorted(left)


def test_the_checker_sees_circles() -> None:
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert circle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == ["a", "b", "c"]


def test_the_checker_tells_entries_apart() -> None:
    assert entry_of("report", "torchstat_cli.report.terminal.Terminal") == "terminal"
    assert entry_of("report", "torchstat_cli.report.render") == "__init__"
    assert entry_of("report", "torchstat_cli.reporting.terminal") is None
    assert entry_of("report", "torchstat_cli.gate.limits") is None
