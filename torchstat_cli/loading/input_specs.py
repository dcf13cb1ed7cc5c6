"""Read '[NAME=]SHAPE[:DTYPE][<BOUND]', the text of one --input."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod

import torch

from torchstat_cli.errors import InputError

_FORM = re.compile(
    r"(?:(?P<name>[^=:<]*)=)?\s*(?P<shape>[^:<=]*?)\s*(?::\s*(?P<dtype>[^<]*?)\s*)?(?:<\s*(?P<bound>.*?)\s*)?"
)
_MOST_ELEMENTS = 2**59  # torch counts bytes in 64 bits, and no element has more than 16
_EXAMPLE = "write it as 1,3,224,224 or ids=1,128:int64<1000"


@dataclass(frozen=True)
class InputSpec:
    """One dummy tensor, not made yet."""

    name: str | None  # keyword argument, None when positional
    shape: tuple[int, ...]  # batch included, () is a scalar
    dtype: str | None  # as torch spells it, None for the model's floating dtype
    bound: int | None  # integer values lie in [0, bound); None for zeros


def parse_input(text: str) -> InputSpec:
    """Read one input spec: ``1,3,224,224``, ``1x3x224x224``, ``ids=1,128:int64<1000``, ``scale=():float32``.

    Raises:
        InputError: the text describes no tensor.
    """
    if not text.strip():
        raise InputError("the input spec is empty", hint=_EXAMPLE + "; () is a scalar")
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise InputError(f"the input {text!r} has no form [NAME=]SHAPE[:DTYPE][<BOUND]", hint=_EXAMPLE)
    name = match["name"].strip() if match["name"] is not None else None
    if name is not None and not name.isidentifier():
        raise InputError(f"the input {text!r} has the name {name!r}, which is no Python name", hint=_EXAMPLE)
    dtype = _dtype(text, match["dtype"]) if match["dtype"] is not None else None
    bound = _bound(text, match["bound"], dtype) if match["bound"] is not None else None
    return InputSpec(name, _shape(text, match["shape"]), dtype, bound)


def _shape(text: str, shape: str) -> tuple[int, ...]:
    inner = shape.strip()
    if (inner[:1], inner[-1:]) in (("(", ")"), ("[", "]")):
        inner = inner[1:-1].strip().removesuffix(",")  # (5,) as Python writes it
    if not inner:
        return ()
    if "x" in inner and "," in inner:
        raise InputError(f"the input {text!r} mixes x and commas", hint="write it as 1,3,224,224 or as 1x3x224x224")
    sizes = tuple(_size(text, part.strip()) for part in inner.split("x" if "x" in inner else ","))
    check_shape(text, sizes)
    return sizes


def check_shape(text: str, sizes: tuple[int, ...]) -> None:
    """Refuse a shape that no dummy tensor can have.

    Raises:
        InputError: a size is 0 or negative, or there are more elements than a tensor can hold.
    """
    remedy = "write every size as a positive number, batch included"
    if min(sizes, default=1) < 0:
        raise InputError(f"the input {text!r} has the negative size {min(sizes)}", hint=remedy)
    if 0 in sizes:
        raise InputError(f"the input {text!r} has a size of 0, so there is nothing to compute", hint=remedy)
    if prod(sizes) > _MOST_ELEMENTS:
        raise InputError(
            f"the input {text!r} has more elements than a tensor can hold",
            hint="check the sizes; the order is batch, channels, height, width",
        )


def _size(text: str, part: str) -> int:
    if not part:
        raise InputError(
            f"the input {text!r} leaves a size empty", hint="write every size as a positive number, batch included"
        )
    if not re.fullmatch(r"-?[0-9]{1,30}", part):
        raise InputError(f"the input {text!r} has the size {part!r}, which is no whole number", hint=_EXAMPLE)
    return int(part)


def _dtype(text: str, name: str) -> str:
    dtype = getattr(torch, name.strip().removeprefix("torch."), None)
    if not isinstance(dtype, torch.dtype) or str(dtype).startswith(("torch.q", "torch.bits")):
        raise InputError(
            f"the input {text!r} has the dtype {name!r}, which torch cannot fill",
            hint="use one as torch spells it: float32, bfloat16, float16, int64, int32, bool, complex64",
        )
    return str(dtype).removeprefix("torch.")


def _bound(text: str, bound: str, dtype: str | None) -> int:
    if dtype is None or not is_integer(dtype):
        raise InputError(f"the input {text!r} bounds values that are not integers", hint="write it as 1,128:int64<1000")
    if not re.fullmatch(r"[0-9]{1,30}", bound) or int(bound) == 0:
        raise InputError(
            f"the input {text!r} has the bound {bound!r}, which is no positive whole number",
            hint="values lie in [0, bound): 1,128:int64<1000",
        )
    largest = torch.iinfo(getattr(torch, dtype)).max
    if int(bound) - 1 > largest:
        raise InputError(f"the input {text!r} has a bound above {dtype}'s largest value {largest}", hint="use int64")
    return int(bound)


def is_integer(dtype: str) -> bool:
    """True for the integer dtypes, bool left out."""
    return dtype.startswith(("int", "uint"))
