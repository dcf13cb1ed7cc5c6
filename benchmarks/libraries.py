"""Model libraries for benchmarks: imported where they are installed, None where they are not."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest

from tests.libraries import import_torchvision


def import_library(name: str) -> ModuleType | None:
    """The library ``name``, also where torchvision's compiled operators cannot load beside this torch.

    timm and transformers import torchvision when they find it, so it comes first.
    """
    try:
        import_torchvision()
    except pytest.skip.Exception:
        if name in ("torchvision", "timm"):
            return None
    try:
        return importlib.import_module(name)
    except ImportError:
        return None
