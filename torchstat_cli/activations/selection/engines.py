"""Choose how to observe a live run: hooks where modules suffice, the operator recorder where they do not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import torch

from torchstat_cli.activations.selection.language import Selector, unmatched
from torchstat_cli.activations.selection.naming import ModuleTable
from torchstat_cli.errors import SelectionError

Engine = Literal["auto", "hooks", "fx", "runtime"]
ENGINES = ("auto", "hooks", "fx", "runtime")


def check_engine(engine: str) -> None:
    """Raise for a word that is no engine.

    Raises:
        SelectionError: naming the engines that exist.
    """
    if engine not in ENGINES:
        raise SelectionError(f"there is no engine {engine!r}", f"choose one of {', '.join(ENGINES)}")


def check_compat(engine: str) -> None:
    """Raise for an engine that has no torchvision names.

    Raises:
        SelectionError: only graphs have them.
    """
    if engine not in ("auto", "fx"):
        raise SelectionError(f"torchvision's names exist only in graphs, not in the engine {engine!r}", "leave it out")


def choose_live_engine(
    engine: Engine, selectors: Sequence[Selector], table: ModuleTable
) -> Literal["hooks", "runtime"]:
    """The engine that can serve ``selectors``; hooks, which cost least, wherever they can.

    Raises:
        SelectionError: a name that neither a module nor an operator inside one can bear, or hooks forced on operators.
    """
    check_engine(engine)
    beyond = [selector for selector in selectors if not _is_module(selector, table)]
    for selector in beyond:
        if not _could_be_operator(selector, table):
            raise unmatched(selector.text, table.candidates)
    if engine == "hooks" and beyond:
        close = unmatched(beyond[0].text, table.candidates).hint
        raise SelectionError(
            f"{beyond[0].text!r} is no module, and hooks see only modules",
            f"{close}; operators and attention need the engine 'auto' or 'runtime'",
        )
    return "runtime" if beyond or engine == "runtime" else "hooks"


def _is_module(selector: Selector, table: ModuleTable) -> bool:
    if selector.kind == "exact":
        return table.call_of(selector.pattern) is not None
    return selector.kind in ("glob", "re", "type") and bool(matching_modules(selector, table))


def matching_modules(selector: Selector, table: ModuleTable) -> list[str]:
    """The paths of the modules that a pattern fits, itself or by a repeated call's name."""
    if selector.kind == "type":
        return [path for path, module in table.modules.items() if selector.matches_type(type(module))]
    # A pattern may be meant for second calls alone: "*.relu_1".
    return [path for path in table.modules if selector.matches(path) or selector.matches(table.call_name(path, 1))]


def selected_modules(selectors: Sequence[Selector], table: ModuleTable) -> list[str]:
    """Every named module, patterns expanded, in the order of the list.

    Raises:
        SelectionError: a selection that is no module's output.
    """
    layers: dict[str, None] = {}
    for selector in selectors:
        found = [selector.pattern] if selector.pattern in table else []
        if selector.kind in ("glob", "re", "type"):
            found = matching_modules(selector, table)
        if not found or selector.indices or selector.part != "output":
            raise unmatched(selector.text, table.candidates)
        layers.update(dict.fromkeys(found))
    return list(layers)


def _could_be_operator(selector: Selector, table: ModuleTable) -> bool:
    """Whether an operator could bear the name: its parent is a module (only running the model can tell)."""
    if selector.kind == "exact":
        parent, _, _ = selector.pattern.rpartition(".")
        return parent in table and selector.part != "input"
    return selector.kind != "type"


def hooked_paths(selectors: Sequence[Selector], table: ModuleTable, *, everything: bool) -> Iterable[str]:
    """The modules that need hooks: those selected, or every one where operators must know who runs them."""
    if everything:
        return [path for path, module in table.modules.items() if _takes_hooks(module)]
    paths: dict[str, None] = {}
    for selector in selectors:
        if selector.kind == "exact":
            found = table.call_of(selector.pattern)
            paths.update({found[0]: None} if found else {})
        elif selector.kind == "type":
            paths.update(dict.fromkeys(matching_modules(selector, table)))
        else:
            return [path for path, module in table.modules.items() if _takes_hooks(module)]
    # The outermost module that runs makes a forward pass, so those around the selected ones are hooked, too.
    around = {outer: None for path in paths for outer in _around(path) if _takes_hooks(table.modules.get(outer))}
    return around | paths


def _around(path: str) -> Iterator[str]:
    """The paths of the modules around ``path``, the model's first."""
    names = path.split(".") if path else []
    return (".".join(names[:length]) for length in range(len(names)))


def _takes_hooks(module: torch.nn.Module | None) -> bool:
    return module is not None and not isinstance(module, torch.jit.ScriptModule)
