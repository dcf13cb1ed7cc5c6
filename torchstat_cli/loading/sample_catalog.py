"""The sample models: what bare names mean when no model library is installed."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import cast

from torchstat_cli.loading.builders import library_source
from torchstat_cli.loading.imports import find_object
from torchstat_cli.loading.source import ModelSource


def _catalog() -> Mapping[str, str]:
    """Model name to ``module:factory``."""
    return cast("Mapping[str, str]", importlib.import_module("sample_models").CATALOG)


def names() -> list[str]:
    """Every sample model."""
    return sorted(_catalog())


def knows(name: str) -> bool:
    """Whether there is a sample model of that name."""
    return name in _catalog()


def find(name: str, arguments: Mapping[str, object], *, online: bool = False) -> ModelSource:
    """The source of a sample model, with the usual inputs that its factory carries."""
    resolved = _catalog()[name]
    module, _, attribute = resolved.partition(":")
    factory, _ = find_object(module, attribute)
    assert callable(factory)  # the catalogue is ours, and a test builds every entry
    return library_source(
        resolved, factory, arguments, defaults={}, example_inputs=getattr(factory, "example_inputs", None)
    )
