"""Import transformers for tests, also where the torchvision that it looks for cannot load by itself."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest

from tests.libraries import import_torchvision


def import_transformers() -> ModuleType:
    """transformers, after a torchvision that is installed; skips where transformers is missing."""
    if importlib.util.find_spec("torchvision") is not None:
        import_torchvision()
    module: ModuleType = pytest.importorskip("transformers")
    return module
