"""What Python files define at their top, read without running them: which of it is a model, and what uses what."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_CONTAINERS = ("Module", "ModuleDict", "ModuleList", "Sequential")  # of torch.nn, often imported by name


@dataclass(frozen=True)
class Definition:
    """A public or private class, function or instance at the top of a file."""

    path: Path
    name: str
    kind: str  # "class", "function" or "instance"
    node: ast.AST
    bases: frozenset[str]  # names of a class's bases, by their last part
    uses: frozenset[str]  # names in its body


def definitions_in(path: Path) -> list[Definition]:
    """Everything defined at the top of a Python file, in order; empty if it cannot be read."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        return [definition for node in _top(tree.body) for definition in _defined(path, node)]
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def _top(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run on import, those below ``if`` and ``try`` included; not those of a script."""
    for node in body:
        if isinstance(node, ast.If) and "__name__" not in _names(node.test):
            yield from _top([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from _top([*node.body, *(line for handler in node.handlers for line in handler.body), *node.orelse])
        else:
            yield node


def _defined(path: Path, node: ast.stmt) -> Iterator[Definition]:
    if isinstance(node, ast.ClassDef):
        bases = frozenset(name for base in node.bases if (name := _dotted(base).rpartition(".")[2]))
        yield Definition(path, node.name, "class", node, bases, _names(*node.body))
    elif isinstance(node, ast.FunctionDef):
        yield Definition(path, node.name, "function", node, frozenset(), _names(*node.body))
    elif isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Call):
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Name):
                yield Definition(path, target.id, "instance", node.value, frozenset(), _names(node.value))


def _names(*nodes: ast.AST) -> frozenset[str]:
    """Names and attributes that the code mentions."""
    walked = [part for node in nodes for part in ast.walk(node)]
    names = {part.id for part in walked if isinstance(part, ast.Name)}
    return frozenset(names | {part.attr for part in walked if isinstance(part, ast.Attribute)})


def models_among(definitions: Sequence[Definition]) -> set[str]:
    """Names of those that are module classes, that build a module or that are one, as far as the code shows."""
    models: set[str] = set()
    while True:
        found = {item.name for item in definitions if item.name not in models and _is_model(item, models)}
        if not found:
            return models
        models |= found


def _is_model(definition: Definition, models: set[str]) -> bool:
    node = definition.node
    if isinstance(node, ast.ClassDef):
        return _is_model_class(definition, node, models)
    if isinstance(node, ast.FunctionDef):
        return any(_builds(made, models) for made in (_dotted(node.returns), *_returned(node)))
    return _builds(_called(node), models)


def _is_model_class(definition: Definition, node: ast.ClassDef, models: set[str]) -> bool:
    if any(base.endswith(("Function", "DataModule")) for base in definition.bases):
        return False  # an autograd function has a forward, too
    methods = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
    foreign = definition.bases - {"object"}  # perhaps a module class of another file
    return (
        "forward" in methods
        or any(base.endswith("Module") for base in definition.bases)
        or any(_builds(_dotted(base), models) for base in node.bases)
        or ("nn" in definition.uses and bool(foreign))
    )


def _builds(callee: str, models: set[str]) -> bool:
    """Whether calling what is written so gives a module: ``UNet``, ``UNet.small``, ``nn.Sequential``."""
    *owners, last = callee.split(".")
    of_torch = "nn" in owners[-1:] and last[:1].isupper()
    return of_torch or last in _CONTAINERS or bool(models.intersection((*owners, last)))


def _returned(function: ast.FunctionDef) -> Iterator[str]:
    """What is called for the values that a function returns, through its own variables."""
    walked = [part for line in function.body for part in ast.walk(line)]
    made: dict[str, str] = {}
    for part in walked:
        if isinstance(part, ast.Assign) and isinstance(part.targets[0], ast.Name):
            made.setdefault(part.targets[0].id, _called(part.value))
    for part in walked:
        if isinstance(part, ast.Return) and part.value is not None:
            yield made.get(part.value.id, "") if isinstance(part.value, ast.Name) else _called(part.value)


def _called(value: ast.AST) -> str:
    """The callee of a call, the innermost of a chain: ``UNet(3).to(device)`` calls ``UNet``."""
    callee = ""
    while isinstance(value, ast.Call):
        callee = _dotted(value.func)
        value = value.func.value if isinstance(value.func, ast.Attribute) else value.func
    return callee


def _dotted(node: ast.AST | None) -> str:
    """A name as written, ``nn.Module``; empty where the expression is another."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = _dotted(node.value)
        return f"{owner}.{node.attr}" if owner else ""
    if isinstance(node, ast.Subscript):  # Generic[T]
        return _dotted(node.value)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
