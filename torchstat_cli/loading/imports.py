"""Find the object that 'package.module:attribute' or 'path/file.py:attribute' names."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import pkgutil
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

from torchstat_cli.errors import SpecError
from torchstat_cli.loading.failures import describe, short_path, suggestion
from torchstat_cli.torch_access.process import untouched_process


def find_object(target: str, attribute: str) -> tuple[object, tuple[str, ...]]:
    """The object, and the folders its code expects on the import path.

    Args:
        target: a dotted module or the path of a Python file.
        attribute: dotted attribute path inside it.

    Raises:
        SpecError: module, file or attribute does not exist, or importing it raised.
    """
    if target.endswith(".py") or "/" in target or os.sep in target:
        module, import_path = _import_file(target, attribute)
    else:
        import_path = (os.getcwd(),)
        module = _import_module(target, import_path)
    found: object = module
    walked = target
    for name in attribute.split("."):
        if not name.isidentifier():
            raise SpecError(
                f"{attribute!r} is no attribute path", hint="write it as package.module:factory or module:Class.method"
            )
        if not hasattr(found, name):
            raise SpecError(
                f"{walked} has no attribute {name!r}{suggestion(name, dir(found))}", hint=_offers(found, name)
            )
        found = getattr(found, name)
        walked = f"{target}:{name}" if walked == target else f"{walked}.{name}"
    return found, import_path


@contextlib.contextmanager
def hidden_package(name: str) -> Iterator[None]:
    """Inside, an installed package looks as if it were not installed; what was imported of it before comes back."""
    imported = {key: module for key, module in sys.modules.items() if key == name or key.startswith(f"{name}.")}
    for key in imported:
        del sys.modules[key]
    sys.modules[name] = None  # type: ignore[assignment]  # import and find_spec both take this for absence
    try:
        yield
    finally:
        del sys.modules[name]
        sys.modules.update(imported)


def _offers(owner: object, missing: str) -> str:
    """A hint that lists what could have been named instead."""
    home = owner.__name__ if isinstance(owner, ModuleType) else getattr(owner, "__module__", None)
    offered = (
        (name, getattr(owner, name, None)) for name in getattr(owner, "__dict__", {}) if not name.startswith("_")
    )
    own = [name for name, value in offered if callable(value) and getattr(value, "__module__", None) == home]
    if not own:
        return f"define {missing} there, or name another attribute after the colon"
    listed = ", ".join(own[:8]) + (", …" if len(own) > 8 else "")
    return f"it defines {listed}"


def _import_module(name: str, import_path: Sequence[str]) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise SpecError(
            f"{name!r} is no module name", hint="write it as package.module:factory or path/file.py:factory"
        )
    importlib.invalidate_caches()  # the file may have been written a moment ago
    try:
        with untouched_process(import_path):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if missing != name and not name.startswith(f"{missing}."):
            raise _import_failure(name, error) from error
        with untouched_process(import_path):
            close = suggestion(missing, _siblings(missing))
        raise SpecError(
            f"no module named {missing!r}{close}",
            hint=f"modules are looked up in {os.getcwd()} first, then among the installed packages",
        ) from error
    except (Exception, SystemExit) as error:
        raise _import_failure(name, error) from error


def _siblings(missing: str) -> Iterator[str]:
    """Importable names beside the missing one, spelled in full."""
    parent, _, _ = missing.rpartition(".")
    paths = getattr(sys.modules.get(parent), "__path__", []) if parent else None
    return (f"{parent}.{module.name}" if parent else module.name for module in pkgutil.iter_modules(paths))


def _import_failure(name: str, error: BaseException) -> SpecError:
    if isinstance(error, ModuleNotFoundError):
        hint = f"install {error.name} in the environment that runs modelstat, or run modelstat in the model's own"
    elif isinstance(error, SyntaxError):
        hint = "correct the syntax there; the file must be plain Python"
    elif isinstance(error, SystemExit):
        hint = "the file runs as a script when imported; move that part under if __name__ == '__main__':"
    else:
        hint = "importing the model's code runs it; mend it, or keep the model in a module without side effects"
    return SpecError(f"importing {name} failed: {describe(error)}", hint=hint)


def _import_file(target: str, attribute: str) -> tuple[ModuleType, tuple[str, ...]]:
    path = Path(os.path.expanduser(target))
    if os.path.isdir(path):  # unlike pathlib, os.path takes any text for a path that is not there
        raise SpecError(
            f"{target} is a folder, not a Python file", hint=f"name a file in it: {target}/model.py:factory"
        )
    if path.suffix != ".py":
        raise SpecError(f"{target} is not a Python file", hint="write it as path/file.py:factory")
    if not os.path.isfile(path):
        known = [file.name for file in path.parent.glob("*.py")] if os.path.isdir(path.parent) else []
        raise SpecError(
            f"no file {target}{suggestion(path.name, known)}", hint=f"relative paths start at {os.getcwd()}"
        )
    path = path.resolve()
    root = path.parent
    while (root / "__init__.py").is_file():
        root = root.parent
    import_path = tuple(dict.fromkeys((str(root), os.getcwd())))
    if root != path.parent:  # a file of a package: relative imports work only under its dotted name
        parts = path.relative_to(root).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        module = _import_module(name, import_path)
        if Path(module.__file__ or "").resolve() == path:
            return module, import_path
    return _execute(path, import_path), import_path


def _execute(path: Path, import_path: Sequence[str]) -> ModuleType:
    """Run a lone file under a name that cannot hide an installed module."""
    name = f"{path.stem}_{zlib.crc32(str(path).encode()):08x}"
    description = importlib.util.spec_from_file_location(name, path)
    assert description is not None  # the suffix is .py
    assert description.loader is not None
    module = importlib.util.module_from_spec(description)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    try:
        with untouched_process(import_path):
            description.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _import_failure(short_path(str(path)), error) from error
    return module
