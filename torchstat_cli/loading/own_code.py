"""The user's own files that a bare name may mean, and how the models in them are written as specs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torchstat_cli.loading.definitions import Definition, definitions_in, models_among

_MOST_LISTED = 8
_KINDS = ("class", "function", "instance")


@dataclass(frozen=True)
class OwnCode:
    """A Python file or package."""

    place: str  # "unet.py", "unet/"
    specs: tuple[str, ...]  # of the models in it, the likeliest first; of a placeholder where none can be read

    @property
    def words(self) -> str:
        """The likeliest spec and what else could be named: ``unet.py:UNet (also DoubleConv, Down)``."""
        file, _, _ = self.specs[0].rpartition(":")
        others = [spec.removeprefix(f"{file}:") for spec in self.specs[1:]]
        listed = ", ".join(others[:_MOST_LISTED]) + (", …" if len(others) > _MOST_LISTED else "")
        return f"{self.specs[0]} (also {listed})" if others else self.specs[0]


def own_code(name: str) -> list[OwnCode]:
    """Files and packages of the current folder that are called like a bare name, the one of that very name first.

    Case and separators do not count: who says ``vit_tiny`` may mean ``ViT-tiny.py``.
    """
    try:
        alike = [path for path in Path().iterdir() if _plain(_module_name(path)) == _plain(name) and _is_code(path)]
    except OSError:  # the current folder is gone, or may not be listed
        return []
    return [code_at(path) for path in sorted(alike, key=lambda path: (_module_name(path) != name, path.name))]


def code_at(path: Path, shown: str | None = None) -> OwnCode:
    """A Python file or a folder of them, and the specs of the models in it.

    Args:
        path: of the file or folder.
        shown: how the user wrote it.
    """
    place = (shown or path.as_posix()).rstrip("/")
    if path.is_dir():
        specs = [f"{place}/{item.path.relative_to(path).as_posix()}:{item.name}" for item in _ranked(path)]
        return OwnCode(f"{place}/", tuple(specs) or (f"{place}:factory",))
    specs = [f"{place}:{item.name}" for item in _ranked(path)]
    return OwnCode(place, tuple(specs) or (f"{place if path.suffix == '.py' else _module_name(path)}:factory",))


def _plain(name: str) -> str:
    return re.sub(r"[-_ ]", "", name).lower()


def _module_name(path: Path) -> str:
    """What Python imports a file or folder as; compiled files carry more than a suffix."""
    return inspect.getmodulename(path.name) or path.name


def _is_code(path: Path) -> bool:
    if path.is_dir():
        return (path / "__init__.py").is_file() or bool(models_among(_defined(sorted(path.glob("*.py")))))
    return path.is_file() and inspect.getmodulename(path.name) is not None


def _files(path: Path) -> list[Path]:
    """The file itself; of a folder its Python files, and those of packages right below it."""
    if not path.is_dir():
        return [path]
    below = (package.parent for package in sorted(path.glob("*/__init__.py")))
    return [file for folder in (path, *below) for file in sorted(folder.glob("*.py"))]


def _defined(files: Sequence[Path]) -> list[Definition]:
    return [definition for file in files for definition in definitions_in(file)]


def _ranked(path: Path) -> list[Definition]:
    """What may be named as a model, the likeliest first, the others as they stand in the files.

    Where nothing looks like a model, that is every public function and class.
    """
    known = _defined(_files(path))
    models = models_among(known)
    public = {(item.path, item.name): item for item in known if not item.name.startswith("_")}.values()
    offered = [item for item in public if item.name in models] or [item for item in public if item.kind != "instance"]
    if not offered:
        return []
    best = min(enumerate(offered), key=lambda place: (*_doubts(place[1], path, known, models), -place[0]))[1]
    return [best, *(item for item in offered if item is not best)]


def _doubts(item: Definition, path: Path, known: Sequence[Definition], models: set[str]) -> tuple[object, ...]:
    """What speaks against a definition as the model that a file is about, the weightiest first.

    A part of another module class; another name than the file's; no class; a loss; few parts of its own.
    """
    is_namesake = _plain(item.name) == _plain(_module_name(path))
    is_part = any(
        item.name in other.uses or (item.name in other.bases and not is_namesake)
        for other in known
        if other.kind == "class" and other.name in models and other.name != item.name
    )
    is_loss = item.name.endswith(("Loss", "loss"))
    return is_part, not is_namesake, _KINDS.index(item.kind), is_loss, -len(item.uses & models)
