"""Calculators: pure functions from records to ints, torch-free."""

from __future__ import annotations

from functools import cache

from torchstat_cli.calculators.registry import Entry, Formula, Registry

__all__ = ["Entry", "Formula", "Registry", "builtin_registry", "user_registry"]


@cache
def builtin_registry() -> Registry:
    """The registry of every formula of this project."""
    from torchstat_cli.calculators import formulas, registry  # noqa: F401  (importing the formulas fills the registry)

    return registry.BUILTIN


@cache
def user_registry() -> Registry:
    """The layer over the built-in registry that users add their own operators to."""
    return builtin_registry().child()
