"""Decide where a model is built: without memory if it can be, for real if it must be and fits."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.weak import WeakIdKeyDictionary

from torchstat_cli.errors import BuildError, PlacementError, UsageError
from torchstat_cli.foreign_text import message_of, named
from torchstat_cli.loading.factories import caused_by, mentions
from torchstat_cli.loading.memory import memory_limit, module_bytes, unasked_limit
from torchstat_cli.loading.meta import copy_without_memory, intercepted_parameters, meta_device, meta_parameters
from torchstat_cli.loading.source import ModelSource
from torchstat_cli.torch_access.interrupts import held_back, let_through
from torchstat_cli.torch_access.modules import buffers_of, parameters_of
from torchstat_cli.units import format_bytes

__all__ = ["Placed", "memory_limit", "module_bytes", "place", "place_meta_parameters", "place_on_cpu", "unasked_limit"]

# What torch says when code asks a meta tensor for its values; the last two do not name the device.
_OF_META = re.compile(
    r"\bmeta\b|data-dependent|single element can be converted to an index|format string passed to Tensor", re.I
)
_OF_MEMORY = re.compile(r"can't allocate memory|not enough memory|out of memory", re.I)
# Python's own complaints about the code: no device explains them, unless the message says so.
_OWN_FAULTS = (TypeError, AttributeError, ImportError, NameError, SyntaxError, OSError, KeyError, SystemExit)


@dataclass(frozen=True)
class Placed:
    """A built model and where its tensors lie."""

    model: nn.Module
    placement: str  # "meta", "meta-parameters" (buffers hold real values), "cpu", "cuda:0"
    notes: tuple[str, ...] = ()  # why it is not on "meta"

    @property
    def on_meta(self) -> bool:
        """Whether its parameters lie on meta, so that a run takes no memory."""
        return self.placement.startswith("meta")


def place(
    source: ModelSource, device: str = "auto", *, dtype: torch.dtype | None = None, limit_bytes: int | None = None
) -> Placed:
    """Build the model.

    "auto" and "meta" build on the meta device; where construction needs values, everything but the parameters is built
    for real. "auto" ends on the real CPU. Any other device is used for real.

    Args:
        source: what to build.
        device: "auto", "meta", or a device as torch spells it.
        dtype: of all floating parameters and buffers; None leaves them.
        limit_bytes: most bytes that "auto" may take on the real CPU; None is :func:`unasked_limit`.

    Raises:
        BuildError: the factory raised for a reason of its own.
        PlacementError: the model needs more memory than may be used, or the device does not exist.
    """
    if device not in ("auto", "meta"):
        return _place_real(source, device, dtype)
    try:
        return _place_meta(source, dtype)
    except BuildError as first:
        if _is_own_fault(first):
            raise
        return _place_after(first, source, device, dtype, unasked_limit() if limit_bytes is None else limit_bytes)


def _place_after(
    first: BuildError, source: ModelSource, device: str, dtype: torch.dtype | None, limit_bytes: int
) -> Placed:
    """The later rungs, once building on meta has failed."""
    note = f"construction needs values that meta tensors do not have ({_reason(first)})"
    try:
        placed = place_meta_parameters(source, dtype=dtype)
    except BuildError as second:
        if mentions(second, _OF_MEMORY):
            raise _out_of_memory(source, second) from second
        if not mentions(second, _OF_META):
            raise  # the same code fails with real values: the device is not the reason
        if device == "meta":
            raise PlacementError(
                f"{source.spec} cannot be built without memory: {_reason(second)}", hint="use --device cpu"
            ) from second
        real = _place_within(limit_bytes, source, dtype)
        return Placed(real.model, real.placement, (note,))
    return Placed(placed.model, placed.placement, (note, *placed.notes))


def _place_meta(source: ModelSource, dtype: torch.dtype | None) -> Placed:
    return _without_memory(_build(source, meta_device(), dtype))


def place_meta_parameters(source: ModelSource, *, dtype: torch.dtype | None = None) -> Placed:
    """Build for real, except that each parameter goes to meta when a module registers it; buffers keep their values.

    Raises:
        BuildError: the factory raised.
    """
    placed = _without_memory(_build(source, meta_parameters(), dtype))
    return Placed(placed.model, "meta-parameters", placed.notes) if placed.placement == "meta" else placed


def _without_memory(module: nn.Module) -> Placed:
    """The module, or a copy of it without memory: a factory may name a device, or hand out a module made before."""
    if not all(parameter.is_meta for parameter in parameters_of(module)):
        try:
            module = copy_without_memory(module)
        except Exception as error:  # deepcopy runs the module's own code, which may raise anything; the note says it
            devices = sorted({str(parameter.device) for parameter in parameters_of(module) if not parameter.is_meta})
            note = f"the module holds real parameters and cannot be copied without them ({named(error)})"
            return Placed(module, devices[0], (note,))
    on_meta = all(buffer.is_meta for buffer in buffers_of(module))
    return Placed(module, "meta" if on_meta else "meta-parameters")


def place_on_cpu(source: ModelSource, *, dtype: torch.dtype | None = None, limit_bytes: int | None) -> Placed:
    """Build for real on the CPU.

    Args:
        source: what to build.
        dtype: of all floating parameters and buffers; None leaves them.
        limit_bytes: most bytes of parameters and buffers, None for no limit.

    Raises:
        BuildError: the factory raised.
        PlacementError: the model is larger than the limit; it is not built.
    """
    if limit_bytes is None:
        return _place_real(source, "cpu", dtype)
    size = _size_without_memory(source)
    if size is not None and size > limit_bytes:
        raise _too_large(source, format_bytes(size), limit_bytes)
    return _place_within(limit_bytes, source, dtype)


def _place_within(limit_bytes: int, source: ModelSource, dtype: torch.dtype | None) -> Placed:
    """Build on the CPU; stop once the parameters pass the limit, since their size may not have been known before."""
    alive: WeakIdKeyDictionary = WeakIdKeyDictionary()
    spent = 0

    def spend(parameter: nn.Parameter) -> nn.Parameter:
        nonlocal spent
        if parameter not in alive:
            alive[parameter] = parameter.numel() * parameter.element_size()
            spent += alive[parameter]
            if spent > limit_bytes and sum(alive.values()) > limit_bytes:
                raise _too_large(source, f"more than {format_bytes(limit_bytes)}", limit_bytes)
        return parameter

    with intercepted_parameters(spend):
        return _place_real(source, "cpu", dtype)


def _too_large(source: ModelSource, size: str, limit_bytes: int) -> PlacementError:
    return PlacementError(
        f"{source.spec} needs {size} for its parameters and buffers, more than the {format_bytes(limit_bytes)} "
        "that may be used on the CPU",
        hint="use --device cpu to build it all the same",
    )


def _size_without_memory(source: ModelSource) -> int | None:
    """Bytes of parameters and buffers, None when the model cannot be built without memory."""
    try:
        return module_bytes(place(source, "meta").model)
    except (BuildError, PlacementError):
        return None  # the real build reports what is wrong


def _place_real(source: ModelSource, device: str, dtype: torch.dtype | None) -> Placed:
    target = _device(device)
    try:
        module = _build(source, torch.device("cpu"), dtype)
    except BuildError as error:
        if mentions(error, _OF_MEMORY):
            raise _out_of_memory(source, error) from error
        raise
    try:
        return Placed(module.to(target), str(target))
    except (RuntimeError, AssertionError) as error:
        raise PlacementError(
            f"{source.spec} does not fit {target}: {message_of(error)}", hint="use --device meta or cpu"
        ) from error


def _device(name: str) -> torch.device:
    """The device of that name, index included.

    Raises:
        UsageError: torch knows no such device.
        PlacementError: it is not there.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"torch knows no device {name!r}", hint="use auto, meta, cpu, cuda, cuda:N or mps") from error
    if device.type == "cuda":
        found = torch.cuda.device_count()
        if (device.index or 0) >= found:
            raise PlacementError(
                f"there is no {name}: torch sees {found} CUDA devices", hint="use --device auto or cpu"
            )
        return torch.device("cuda", device.index or 0)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise PlacementError("there is no mps device here", hint="use --device auto or cpu")
    return device


def _build(source: ModelSource, context: AbstractContextManager[object], dtype: torch.dtype | None) -> nn.Module:
    with held_back(), context, let_through():
        module = source.build()
    if dtype is None:
        return module
    # Module.to(dtype) would cast complex tensors to real ones as well.
    cast: nn.Module = module._apply(lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)
    return cast


def _is_own_fault(error: BuildError) -> bool:
    """Whether the failure is clearly the factory's own, so that no other device would help."""
    cause = caused_by(error)
    return not mentions(error, _OF_META) and (cause is error or isinstance(cause, _OWN_FAULTS))


def _out_of_memory(source: ModelSource, error: BuildError) -> PlacementError:
    return PlacementError(
        f"{source.spec} does not fit the memory: {_reason(error)}",
        hint="build it smaller, or use --device meta, which needs memory only where construction needs values",
    )


def _reason(error: BuildError) -> str:
    cause = caused_by(error)
    return named(cause)
