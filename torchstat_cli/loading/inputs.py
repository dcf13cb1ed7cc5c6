"""Make the tensors that a model is called with: from specs, the user's function, or the model's own example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import cast

import torch

from torchstat_cli.errors import InputError, ModelstatError, SpecError
from torchstat_cli.loading.failures import describe
from torchstat_cli.loading.imports import find_object
from torchstat_cli.loading.input_specs import InputSpec, check_shape, parse_input
from torchstat_cli.loading.memory import memory_limit
from torchstat_cli.loading.source import ModelSource
from torchstat_cli.torch_access.process import untouched_process
from torchstat_cli.torch_access.trees import map_tensors
from torchstat_cli.units import format_bytes, format_shape

__all__ = [
    "InputSpec",
    "Inputs",
    "as_inputs",
    "default_inputs",
    "inputs_on",
    "load_inputs",
    "make_inputs",
    "parse_input",
]

_SEED = 0  # the same values in every run
_FORMS = "return a tensor, a tuple of arguments, a dict of keywords, or (args, kwargs)"


@dataclass(frozen=True)
class Inputs:
    """The arguments of one forward call."""

    args: tuple[object, ...]
    kwargs: dict[str, object]


def make_inputs(specs: Sequence[InputSpec], *, device: str, dtype: torch.dtype) -> Inputs:
    """Dummy tensors for the specs, the same in every run.

    Integer and boolean tensors hold real values on the CPU when the device is "meta": models look rows up with them.

    Args:
        specs: positional inputs in order, and keywords.
        device: where the tensors go.
        dtype: of the specs that name none.

    Raises:
        InputError: a name comes twice, or values that must be real do not fit the memory.
    """
    generator = torch.Generator().manual_seed(_SEED)
    args: list[object] = []
    kwargs: dict[str, object] = {}
    for spec in specs:
        if spec.name in kwargs:
            raise InputError(f"the input {spec.name!r} is given twice", hint="keep one of them")
        tensor = _make_tensor(spec, device, dtype, generator)
        if spec.name is None:
            args.append(tensor)
        else:
            kwargs[spec.name] = tensor
    return Inputs(tuple(args), kwargs)


def _make_tensor(spec: InputSpec, device: str, default: torch.dtype, generator: torch.Generator) -> torch.Tensor:
    dtype = cast(torch.dtype, getattr(torch, spec.dtype)) if spec.dtype else default
    check_shape(format_shape(spec.shape), spec.shape)
    continuous = dtype.is_floating_point or dtype.is_complex
    if device == "meta" and continuous:
        return torch.empty(spec.shape, dtype=dtype, device="meta")
    size = prod(spec.shape) * dtype.itemsize
    if size > memory_limit():
        raise InputError(
            f"the input {format_shape(spec.shape)} takes {format_bytes(size)}, more than the "
            f"{format_bytes(memory_limit())} that may be used",
            hint="use a smaller batch" if not continuous else "use a smaller batch, or --device meta",
        )
    if continuous:
        values = torch.randn(spec.shape, generator=generator).to(dtype)
    elif spec.bound is not None:
        values = torch.randint(spec.bound, spec.shape, generator=generator).to(dtype)
    else:
        values = torch.zeros(spec.shape, dtype=dtype)
    return values if device == "meta" else values.to(device)


def as_inputs(value: object) -> Inputs:
    """The arguments that a Python value stands for.

    A tuple holds positional arguments, a dict keywords, ``(args, kwargs)`` both; anything else is one argument.

    Raises:
        InputError: the value is None, or a key of the keywords is no string.
    """
    if isinstance(value, Inputs):
        return value
    if value is None:
        raise InputError("the inputs are None", hint=f"{_FORMS}; () for a model that takes nothing")
    if isinstance(value, tuple):
        if len(value) == 2 and isinstance(value[0], (tuple, list)) and isinstance(value[1], Mapping):
            return Inputs(tuple(value[0]), _keywords(value[1]))
        return Inputs(tuple(value), {})
    if isinstance(value, Mapping):
        return Inputs((), _keywords(value))
    return Inputs((value,), {})


def _keywords(mapping: Mapping[object, object]) -> dict[str, object]:
    for key in mapping:
        if not isinstance(key, str):
            raise InputError(
                f"the inputs have the keyword {key!r}, which is no string",
                hint="a dict gives keywords; wrap a dict that is itself one argument as (the_dict,)",
            )
    return cast("dict[str, object]", dict(mapping))


def load_inputs(spec: str) -> Inputs:
    """Call the function ``module:factory`` or ``path/file.py:factory`` and take what it returns as inputs.

    Raises:
        SpecError: the spec names nothing.
        InputError: it is no function, it raised, or it returned no inputs.
    """
    target, colon, attribute = spec.strip().rpartition(":")
    if not colon or not target or not attribute:
        raise SpecError(f"the inputs {spec!r} name no function", hint="write it as --inputs package.module:function")
    found, import_path = find_object(target, attribute)
    if not callable(found):
        return as_inputs(found)
    try:
        with untouched_process(import_path), torch.no_grad():
            value = found()
    except ModelstatError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"{spec} raised {describe(error)}", hint="it must be callable without arguments") from error
    return as_inputs(value)


def default_inputs(source: ModelSource, *, device: str, dtype: torch.dtype) -> Inputs | None:
    """The usual inputs of a model, None when it names none.

    Raises:
        InputError: the example raised or gives no inputs.
    """
    example = source.example_inputs
    if example is None:
        return None
    if callable(example):
        try:
            with untouched_process(), torch.no_grad():
                value = example()
        except (Exception, SystemExit) as error:
            raise InputError(
                f"the example inputs of {source.spec} raised {describe(error)}",
                hint="give --input, or mend example_inputs",
            ) from error
    else:
        value = example
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, str) for item in value):
        return make_inputs([parse_input(item) for item in value], device=device, dtype=dtype)
    return inputs_on(as_inputs(value), device=device, dtype=dtype)


def inputs_on(inputs: Inputs, *, device: str, dtype: torch.dtype | None = None) -> Inputs:
    """The same inputs on a device, gradients wanted as before; integers and booleans stay on the CPU when it is "meta".

    Args:
        inputs: may nest tensors in lists, tuples and dicts.
        device: where the tensors go.
        dtype: of tensors that have torch's default dtype; None leaves them as they are.
    """

    def move(tensor: torch.Tensor) -> torch.Tensor:
        wanted = dtype if dtype is not None and tensor.dtype is torch.get_default_dtype() else tensor.dtype
        if device == "meta" and not (tensor.is_floating_point() or tensor.is_complex()):
            return tensor
        moved = tensor.detach().to(device=device, dtype=wanted)
        return moved.requires_grad_() if tensor.requires_grad else moved

    return Inputs(*map_tensors((inputs.args, inputs.kwargs), move))
