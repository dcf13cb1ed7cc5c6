"""Axes of a model's inputs that take other sizes: named by people, put into the specs of dummy inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torchstat_cli.errors import UsageError
from torchstat_cli.loading import InputSpec
from torchstat_cli.records import InputRecord


@dataclass(frozen=True)
class Axis:
    """One axis of one input."""

    position: int  # of the input
    axis: int
    name: str  # as people read it


def spec_of(record: InputRecord) -> InputSpec:
    """The spec of a dummy like an input that a profile saw."""
    return InputSpec(record.name, record.shape, record.dtype, None)


def batch_axes(specs: tuple[InputSpec, ...]) -> tuple[Axis, ...]:
    """Axis 0 of every input.

    Raises:
        UsageError: no input has one.
    """
    axes = tuple(Axis(place, 0, _words(specs, place, 0)) for place, spec in enumerate(specs) if spec.shape)
    if not axes:
        raise UsageError("no input of the model has an axis that could grow", "name inputs with --input")
    return axes


def named_axes(name: str, axis: int, specs: tuple[InputSpec, ...]) -> tuple[Axis, ...]:
    """An axis of the inputs of that name, or position; of every input where ``name`` is empty."""
    return tuple(
        Axis(place, axis % len(spec.shape), _words(specs, place, axis % len(spec.shape)))
        for place, spec in enumerate(specs)
        if name in ("", _name(spec, place)) and -len(spec.shape) <= axis < len(spec.shape)
    )


def shapes_in_words(specs: tuple[InputSpec, ...]) -> str:
    """The inputs by name, for a message."""
    return ", ".join(f"{_name(spec, place)} {list(spec.shape)}" for place, spec in enumerate(specs))


def resized(specs: tuple[InputSpec, ...], axes: tuple[Axis, ...], size: int) -> tuple[InputSpec, ...]:
    """``specs`` with ``size`` at all of ``axes``."""
    shapes = [list(spec.shape) for spec in specs]
    for axis in axes:
        shapes[axis.position][axis.axis] = size
    return tuple(replace(spec, shape=tuple(shape)) for spec, shape in zip(specs, shapes, strict=True))


def _name(spec: InputSpec, place: int) -> str:
    """The keyword of an input, or its position."""
    return spec.name if spec.name is not None else str(place)


def _words(specs: tuple[InputSpec, ...], place: int, axis: int) -> str:
    name = specs[place].name
    of = f" of {name}" if name is not None else f" of input {place}" if len(specs) > 1 else ""
    return f"axis {axis}{of}"
