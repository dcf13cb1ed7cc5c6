"""The inputs that somebody gives: ready values, or shapes of dummies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import index
from typing import Any, TypeGuard

from torchstat_cli.errors import InputError, UsageError
from torchstat_cli.foreign_text import shown
from torchstat_cli.loading.inputs import Inputs, InputSpec, load_inputs, parse_input
from torchstat_cli.torch_access.process import same_random_numbers

Given = Inputs | tuple[InputSpec, ...]
"""Ready inputs, or specs of dummy inputs."""

Shapes = Sequence[int] | Sequence[Sequence[int]]
"""One shape, or one for each input; every batch included."""


def given_inputs(args: tuple[Any, ...], kwargs: Mapping[str, Any] | None, input_shape: Shapes | None) -> Given | None:
    """The inputs of a call from Python: ready ones, specs of dummy inputs from shapes, or None where none were given.

    Raises:
        UsageError: both were given, or keywords that are no mapping.
        InputError: ``input_shape`` is neither a shape nor a list of shapes.
    """
    if not isinstance(kwargs or {}, Mapping):
        raise UsageError(f"kwargs={shown(kwargs)} is no mapping", "give keyword inputs as {'name': tensor}")
    if input_shape is None:
        return Inputs(args, dict(kwargs or {})) if args or kwargs else None
    if args or kwargs:
        raise UsageError("inputs were given both ready and as input_shape", "give one of the two")
    single = as_shape(input_shape)
    several = [as_shape(shape) for shape in input_shape] if single is None and _is_sequence(input_shape) else [single]
    shapes = [shape for shape in several if shape is not None]
    if len(shapes) != len(several) or shapes in ([], [()]):
        raise InputError(
            f"input_shape={shown(input_shape)} is neither a shape nor a list of shapes",
            "write (1, 3, 224, 224), batch included, or a list of such",
        )
    return tuple(InputSpec(None, shape, None, None) for shape in shapes)


def written_inputs(texts: Sequence[str], factory: str | None) -> Given | None:
    """The inputs of a command line or a configuration, or None where none were given.

    Args:
        texts: specs of dummy inputs: ``ids=1,16:int64<1000``.
        factory: ``module:function``, which returns ready inputs and goes before the specs.

    Raises:
        ModelstatError: a text describes no tensor, or there is no such function, or it returns no inputs.
    """
    if factory:
        with same_random_numbers():
            return load_inputs(factory)
    return tuple(map(parse_input, texts)) or None


def as_shape(value: object) -> tuple[int, ...] | None:
    """``value`` as a shape, ``None`` when it is not a sequence of whole numbers."""
    if not _is_sequence(value) or any(isinstance(size, bool) or not hasattr(size, "__index__") for size in value):
        return None
    return tuple(index(size) for size in value)


def _is_sequence(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))
