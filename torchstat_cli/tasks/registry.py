"""The registry that a profile asks: ours, the user's, what installed packages ship, and what torch was told."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points

from torchstat_cli.calculators import Registry, user_registry
from torchstat_cli.errors import FormulaError, ModelstatError
from torchstat_cli.foreign_text import named
from torchstat_cli.tasks.torch_formulas import registered_formulas

GROUP = "modelstat.formulas"
"""Entry points of a package's own formulas: a module that claims them when imported, or a function that does."""


def operator_registry() -> Registry:
    """The registry with every formula that this process can know of.

    Formulas of ``register_flop_formula`` only fill gaps: an operator that has a formula here keeps it.

    Raises:
        FormulaError: an installed package's formulas cannot be loaded.
    """
    load_shipped_formulas()
    registry = user_registry()
    for name, formula in registered_formulas():
        if not registry.knows(name):
            claim = registry.formula(
                name,
                words="as registered with torch.utils.flop_counter; MAdds are half of its FLOPs",
                source="register_flop_formula",
            )
            claim(formula)
    return registry


def operator_formulas() -> list[tuple[str, str, str, str]]:
    """Every operator with a formula or free by definition: its name, the formula in words, convention and source."""
    return [(entry.operator, entry.words, entry.convention, entry.source) for entry in operator_registry().entries()]


@cache
def load_shipped_formulas() -> None:
    """Load the formulas that installed packages ship, once per process.

    Raises:
        FormulaError: one of them raised; the message names the package.
    """
    for point in entry_points(group=GROUP):
        _load(point)


def _load(point: EntryPoint) -> None:
    package = point.dist.name if point.dist is not None else point.value
    try:
        found = point.load()
        if callable(found):
            found()
    except ModelstatError as error:
        raise FormulaError(f"the formulas of {package} cannot be used: {error.message}", error.hint) from error
    except Exception as error:
        raise FormulaError(
            f"the formulas of {package} cannot be loaded: {named(error)}",
            f"mend or uninstall {package}, which ships them as the entry point {point.name!r} of {GROUP}",
        ) from error
