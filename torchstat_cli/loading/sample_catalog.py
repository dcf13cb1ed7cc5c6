"""The sample models: inside the installed package, or beside it in a checkout."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import cast

from torchstat_cli.loading.builders import library_source
from torchstat_cli.loading.source import ModelSource

PREFIX = "sample_models"

# One name wherever the files lie. A folder "sample_models" of the user's own is another package, and stays importable.
_PACKAGE = f"{__package__.partition('.')[0]}.{PREFIX}"


@cache
def is_installed() -> bool:
    """Whether the sample models were found: a wheel carries them inside the package, a checkout beside it."""
    package = Path(__file__).parents[1]
    for folder in (package / PREFIX, package.parent / PREFIX):
        if (folder / "__init__.py").is_file():
            _announce(folder)
            return True
    return False


def names() -> list[str]:
    """Every sample model."""
    return sorted(_catalog())


def knows(name: str) -> bool:
    """Whether there is a sample model of that name."""
    return name in _catalog()


def find(name: str, arguments: Mapping[str, object], *, online: bool = False) -> ModelSource:
    """The source of a sample model, with the usual inputs that its factory carries."""
    module, _, attribute = _catalog()[name].partition(":")
    factory = getattr(importlib.import_module(f"{_PACKAGE}{module.removeprefix(PREFIX)}"), attribute)
    assert callable(factory)  # the catalogue is ours, and a test builds every entry
    return library_source(
        f"{PREFIX}/{name}", factory, arguments, defaults={}, example_inputs=getattr(factory, "example_inputs", None)
    )


def _catalog() -> Mapping[str, str]:
    """Model name to ``sample_models.module:factory``."""
    assert is_installed()
    return cast("Mapping[str, str]", importlib.import_module(_PACKAGE).CATALOG)


def _announce(folder: Path) -> None:
    """Let the files in ``folder`` be imported under the one name of the package."""
    spec = importlib.util.spec_from_file_location(
        _PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None  # the suffix is .py
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[_PACKAGE] = package
    spec.loader.exec_module(package)
