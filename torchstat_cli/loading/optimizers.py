"""Turn ``--optimizer`` and ``--loss`` into the functions they name."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

import torch
from torch import nn

from torchstat_cli.errors import SpecError, UsageError
from torchstat_cli.loading.imports import find_object

DEFAULT_OPTIMIZER = "sgd"
_PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {"lr": 0.01}),
    "sgd-momentum": ("SGD", {"lr": 0.01, "momentum": 0.9}),
    "sgd-nesterov": ("SGD", {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
}
_SPECIAL = ("lbfgs", "sparseadam")
"""Not offered: the one calls the model itself, the other takes sparse gradients only."""

MakeOptimizer = Callable[[list[nn.Parameter]], torch.optim.Optimizer]


def optimizer_names() -> list[str]:
    """Every name that ``--optimizer`` takes."""
    return sorted({*_PRESETS, *_torch_optimizers()} - set(_SPECIAL))


def find_optimizer(text: str) -> MakeOptimizer:
    """What makes the optimiser of that name from a list of parameters.

    Args:
        text: ``adamw``, with arguments ``adamw:lr=1e-4,foreach=True``, or a function ``package.module:function``.

    Raises:
        UsageError: there is no such optimiser, or it takes no such argument.
        SpecError: the function does not exist.
    """
    name, _, arguments = text.partition(":")
    if name.lower() not in optimizer_names():
        if "." in name or "/" in name or (arguments and "=" not in arguments):
            return _function(text, "optimizer")
        close = get_close_matches(name.lower(), optimizer_names(), n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(optimizer_names())}"
        raise UsageError(f"there is no optimizer {name!r}", hint)
    kind, options = _PRESETS.get(name.lower(), (None, {}))
    make = getattr(torch.optim, kind) if kind else _torch_optimizers()[name.lower()]
    given = {**options, **_arguments(name, arguments, make)}
    return lambda parameters: make(parameters, **given)


def find_loss(spec: str) -> Callable[[Any], Any]:
    """The function that turns a model's output into one number.

    Raises:
        SpecError: the spec names no function.
    """
    return _function(spec, "loss")


def _torch_optimizers() -> dict[str, type[torch.optim.Optimizer]]:
    kinds = vars(torch.optim).values()
    return {
        kind.__name__.lower(): kind
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer) and kind is not torch.optim.Optimizer
    }


def _arguments(name: str, text: str, make: Any) -> dict[str, Any]:
    known = [key for key in inspect.signature(make).parameters if key != "params"]
    given = {}
    # A comma ends an argument only before the next name: betas=(0.9, 0.95) is one.
    for part in filter(None, re.split(r",(?=\s*\w+\s*=)", text)):
        key, equals, value = part.partition("=")
        if not equals or key.strip() not in known:
            hint = f"write {name}:key=value; known are {', '.join(known)}"
            raise UsageError(f"{part!r} is no argument of {name}", hint)
        try:
            given[key.strip()] = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError) as error:
            raise UsageError(
                f"{value!r} is no Python value for {key}", "write it as in lr=1e-4,foreach=True"
            ) from error
    return given


def _function(spec: str, what: str) -> Callable[..., Any]:
    target, colon, attribute = spec.strip().rpartition(":")
    if not colon or not target or not attribute:
        raise SpecError(f"the {what} {spec!r} names no function", f"write it as --{what} package.module:function")
    found, _ = find_object(target, attribute)
    if not callable(found):
        kind = type(found).__name__
        raise SpecError(f"the {what} {spec!r} is no function but a {kind}", "name a function of one argument")
    return found
