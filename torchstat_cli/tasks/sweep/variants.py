"""What a sweep varies of one model: the batch, an axis of an input, an argument of its factory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from torchstat_cli.errors import UsageError
from torchstat_cli.loading import InputSpec, parse_arguments
from torchstat_cli.records import SweepTask
from torchstat_cli.tasks.axes import batch_axes, named_axes, resized, shapes_in_words

BATCH, ARGUMENT = "batch", "arg."
_LETTERS = {"C": -3, "H": -2, "W": -1, "L": 1}
"""Axes by the letters that torch's documentation has for them: images are N, C, H, W, sequences N, L."""


def parse_variants(texts: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """What varies, and the values of each: ``["batch=1,2", "input.H=224,320"]``.

    Raises:
        UsageError: a text is no such statement, or a size is none.
    """
    varied: dict[str, tuple[str, ...]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        parts = tuple(value.strip() for value in values.split(","))
        if not equals or not all(parts):
            raise UsageError(f"--vary {text!r} has no values", "write batch=1,2,4 or input.H=224,320 or arg.depth=2,4")
        if name in varied:
            raise UsageError(f"--vary {name} was given twice", f"write all values in one: {name}=…,…")
        if not name.startswith(ARGUMENT):
            _check_axis(name, text)
            _check_sizes(parts, text)
        elif name == ARGUMENT:
            raise UsageError(f"--vary {text!r} names no argument", "write arg.NAME=…, e.g. arg.depth=2,4")
        varied[name] = tuple(dict.fromkeys(parts))
    return varied


def _check_axis(name: str, text: str) -> None:
    owner, dot, axis = name.rpartition(".")
    if name != BATCH and (not dot or not owner or _axis_number(axis) is None):
        raise UsageError(
            f"--vary {text!r} names neither the batch, an axis nor an argument",
            "write batch=…, input.H=… (or C, W, L, or a number; NAME.1 for one input), or arg.NAME=…",
        )


def _check_sizes(parts: Sequence[str], text: str) -> None:
    for part in parts:
        if not part.isdecimal() or not int(part):
            raise UsageError(f"--vary {text!r}: {part!r} is no size", "give whole numbers from 1 on")


def _axis_number(text: str) -> int | None:
    if text in _LETTERS:
        return _LETTERS[text]
    digits = text.removeprefix("-")
    return int(text) if digits.isdecimal() else None


def tasks_of(models: Iterable[str], varied: Mapping[str, Sequence[str]]) -> list[SweepTask]:
    """Every model with every combination of what varies, each once."""
    combinations = [dict(zip(varied, values, strict=True)) for values in product(*varied.values())]
    return [SweepTask(model, variant) for model in dict.fromkeys(models) for variant in combinations]


def arguments_of(variant: Mapping[str, str]) -> dict[str, Any]:
    """The arguments of the factory that a variant sets, read as those of ``--arg`` are."""
    return parse_arguments(
        [f"{name.removeprefix(ARGUMENT)}={value}" for name, value in variant.items() if name.startswith(ARGUMENT)]
    )


def resizes(variant: Mapping[str, str]) -> bool:
    """Whether a variant changes the size of an input."""
    return any(not name.startswith(ARGUMENT) for name in variant)


def sized(specs: tuple[InputSpec, ...], variant: Mapping[str, str]) -> tuple[InputSpec, ...]:
    """The inputs with the sizes that a variant sets.

    Raises:
        UsageError: no input has such an axis.
    """
    for name, value in variant.items():
        if name.startswith(ARGUMENT):
            continue
        owner, _, letter = name.rpartition(".")
        if name == BATCH:
            axes = batch_axes(specs)
        else:
            number = _axis_number(letter)
            assert number is not None  # parse_variants saw to that
            axes = named_axes("" if owner == "input" else owner, number, specs)
        if not axes:
            raise UsageError(f"{name} fits no input", f"the inputs are {shapes_in_words(specs)}")
        specs = resized(specs, axes, int(value))
    return specs
