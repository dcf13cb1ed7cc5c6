"""Quantized weights as libraries pack them: which tensors make one weight, and the elements that it stands for.

The layouts are those of the libraries: GPTQ (``qweight`` of int32, packed along the inputs), AWQ (packed along the
outputs), bitsandbytes (4 bits: bytes of two elements with ``absmax`` and a quant state; 8 bits: ``SCB``),
compressed-tensors (``weight_packed``), MXFP4 blocks, and 8-bit floats with a scale beside them.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import NamedTuple

Shape = tuple[int, ...]

_WORD = 32  # bits of the integers that GPTQ and AWQ pack into
_BNB_STATE = ".quant_state.bitsandbytes__"
_BNB_PARTS = ("absmax", "quant_map", "nested_absmax", "nested_quant_map")
_FP8_SCALES = ("weight_scale", "weight_scale_inv", "input_scale", "scale_weight", "scale_input", "activation_scale")
_PACKED = frozenset(("qweight", "weight_packed"))
_MOST_READ = 1 << 16  # bytes of a tensor that only says a shape


class Part(NamedTuple):
    """One stored tensor."""

    shape: Shape
    dtype: str
    nbytes: int


class PackedWeight(NamedTuple):
    """A quantized weight: several stored tensors that stand for one."""

    name: str
    shape: Shape  # that it stands for; of one axis where nothing tells more
    dtype: str  # what it is packed in
    nbytes: int  # of all parts
    packing: str  # "GPTQ, 4 bits"
    parts: tuple[str, ...]

    @property
    def numel(self) -> int:
        """Elements that it stands for."""
        return prod(self.shape)


def has_packed_weight(names: Iterable[str]) -> bool:
    """Whether one of the names is that of a weight packed into words; a quick look before :func:`joined_weights`."""
    return not _PACKED.isdisjoint(names)


def joined_weights(parts: Mapping[str, Part], read: Callable[[str], bytes]) -> list[PackedWeight]:
    """The quantized weights among stored tensors.

    Args:
        parts: the tensors, by name.
        read: the bytes of a small one, where a library keeps a shape in it.
    """
    found = (_packed(name, part, parts, read) for name, part in parts.items())
    return [weight for weight in found if weight is not None]


def _packed(name: str, part: Part, parts: Mapping[str, Part], read: Callable[[str], bytes]) -> PackedWeight | None:
    """The weight whose main tensor is called ``name``; None where that is no quantized weight."""
    owner, _, last = name.rpartition(".")
    prefix = f"{owner}." if owner else ""
    if last == "qweight":
        return _words(name, prefix, part, parts)
    if last == "weight_packed":
        return _compressed(name, prefix, part, parts, read)
    if last.endswith("_blocks") and f"{name[: -len('blocks')]}scales" in parts and part.dtype == "uint8":
        blocks = (name, f"{name[: -len('blocks')]}scales")
        return _weight(name[: -len("_blocks")], (2 * prod(part.shape),), "MXFP4, 4 bits", blocks, parts)
    if part.dtype == "uint8" and f"{name}.absmax" in parts:
        return _four_bits(name, part, parts, read)
    if part.dtype == "int8" and f"{prefix}SCB" in parts:
        names = (name, f"{prefix}SCB", f"{prefix}weight_format")
        return _weight(name, part.shape, "bitsandbytes, 8 bits", names, parts)
    if part.dtype.startswith("float8"):
        scales = [f"{prefix}{scale}" for scale in _FP8_SCALES if f"{prefix}{scale}" in parts]
        if scales and last in ("weight", ""):
            return _weight(name, part.shape, "fp8 with scales", (name, *scales), parts)
    return None


def _words(name: str, prefix: str, part: Part, parts: Mapping[str, Part]) -> PackedWeight | None:
    """GPTQ and AWQ: ``qweight`` of 32-bit words beside ``scales`` of one row per group."""
    scales, zeros, order = (parts.get(f"{prefix}{last}") for last in ("scales", "qzeros", "g_idx"))
    if scales is None or len(scales.shape) != 2 or len(part.shape) != 2 or not part.dtype.startswith(("int", "uint")):
        return None
    outputs = scales.shape[1]
    names = tuple(f"{prefix}{last}" for last in ("qweight", "qzeros", "scales", "g_idx"))
    if not outputs or not prod(part.shape):
        return None
    if part.shape[1] != outputs:  # packed along the outputs
        bits = _WORD * part.shape[1] // outputs
        return _weight(f"{prefix}weight", (outputs, part.shape[0]), f"AWQ, {bits} bits", names, parts)
    if order is not None:
        inputs = prod(order.shape)
    elif zeros is not None and len(zeros.shape) == 2 and zeros.shape[1]:
        inputs = part.shape[0] * outputs // zeros.shape[1]  # the zeros are packed by the same number of bits
    else:
        return None
    bits = _WORD * part.shape[0] // inputs if inputs else 0
    return _weight(f"{prefix}weight", (outputs, inputs), f"GPTQ, {bits} bits", names, parts)


def _compressed(
    name: str, prefix: str, part: Part, parts: Mapping[str, Part], read: Callable[[str], bytes]
) -> PackedWeight | None:
    """compressed-tensors: ``weight_shape`` holds the shape."""
    shape = f"{prefix}weight_shape"
    names = (name, *(f"{prefix}weight_{last}" for last in ("shape", "scale", "zero_point", "g_idx")))
    if shape not in parts or parts[shape].nbytes > _MOST_READ:
        return None
    code = {"int64": "q", "int32": "i"}.get(parts[shape].dtype)
    if code is None:
        return None
    content = read(shape)
    if len(content) != parts[shape].nbytes:  # a tensor on meta
        return None
    logical = struct.unpack(f"<{prod(parts[shape].shape)}{code}", content)
    elements = prod(logical)
    bits = part.nbytes * 8 // elements if elements > 0 else 0
    return _weight(f"{prefix}weight", logical, f"compressed-tensors, {bits} bits", names, parts)


def _four_bits(name: str, part: Part, parts: Mapping[str, Part], read: Callable[[str], bytes]) -> PackedWeight:
    """bitsandbytes with 4 bits: two elements per byte; the quant state is JSON, with the shape."""
    state = next((other for other in parts if other.startswith(f"{name}{_BNB_STATE}")), None)
    names = (name, *(f"{name}.{last}" for last in _BNB_PARTS), *((state,) if state else ()))
    logical: Shape = (2 * prod(part.shape),)
    if state is not None and parts[state].nbytes <= _MOST_READ:
        try:
            written = tuple(json.loads(read(state))["shape"])
        except (ValueError, KeyError, TypeError):
            written = ()
        # A byte holds two elements, so that the last may be half empty.
        if written and all(type(size) is int for size in written) and 0 <= logical[0] - prod(written) <= 1:
            logical = written
    kind = state.removeprefix(f"{name}{_BNB_STATE}") if state else "4 bits"
    return _weight(name, logical, f"bitsandbytes, {kind}", names, parts)


def _weight(name: str, shape: Shape, packing: str, names: Iterable[str], parts: Mapping[str, Part]) -> PackedWeight:
    present = tuple(part for part in names if part in parts)
    return PackedWeight(
        name, shape, parts[present[0]].dtype, sum(parts[part].nbytes for part in present), packing, present
    )
