"""The metadata buffers: one row of named integer slots per module, filled by the capture hooks.

A leaf carries its row as a non-persistent buffer, so it never enters a ``state_dict``; a container's row stays with the
session. The hooks write through a numpy view of the row, because a tensor write would be an operator on the tape.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from torchstat_cli.records import Shape

BUFFER_NAME = "_modelstat_metadata"
_SHAPE_CAPACITY = 32  # integers for the shapes of the first call; a row grows when a call needs more


class Slot(IntEnum):
    """What each integer of a row means; the encoded shapes of the first call follow."""

    CALLS = 0  # forward calls
    ORDER = 1  # position of the first call among all modules, from 1; 0 is never called
    DTYPE = 2  # index into DTYPES, plus 1; 0 is no tensor
    INPUT_LENGTH = 3  # integers that encode the input shapes
    OUTPUT_LENGTH = 4  # integers that encode the output shapes


DTYPES = tuple(
    sorted({str(value).removeprefix("torch.") for value in vars(torch).values() if isinstance(value, torch.dtype)})
)
_DTYPE_CODES = {getattr(torch, name): code for code, name in enumerate(DTYPES, start=1)}

# As plain numbers: an enumeration is slow to index with, and the hooks write rows at every call.
_CALLS, _ORDER, _DTYPE, _INPUT_LENGTH, _OUTPUT_LENGTH = map(int, Slot)
_HEAD = len(Slot)

Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]


class Seen(NamedTuple):
    """What a row tells of one module."""

    calls: int  # forward calls
    order: int  # place of the first call among all modules, from 1; 0 is never called
    dtype: str | None  # of the first output of the first call, as torch spells it without the prefix
    input_shape: tuple[Shape, ...]  # of every input of the first call
    output_shape: tuple[Shape, ...]


class MetadataRow:
    """One module's row: an int64 tensor on the CPU, and the numpy view that writes to it.

    It is the module's buffer from ``register`` to ``remove``, and readable before and after.

    Args:
        module: whose row it is.
        values: its memory, zeros; made when not given.
    """

    __slots__ = ("begun", "calls", "module", "name", "tensor", "values")

    def __init__(self, module: nn.Module, values: Numbers | None = None) -> None:
        self.module = module
        self.name: str | None = None  # of the registered buffer
        self.values: Numbers = _memory(1)[0] if values is None else values
        self.calls = 0  # the same number as in the row, where it is read faster
        self.begun: list[int] | None = None  # the first call's encoded input shapes, until it ends
        self.tensor: torch.Tensor | None = None  # the same memory, once registered

    @classmethod
    def of_all(cls, modules: Sequence[nn.Module]) -> list[MetadataRow]:
        """A row for each module, all cut from one piece of memory."""
        return [cls(module, values) for module, values in zip(modules, _memory(len(modules)), strict=True)]

    def register(self) -> None:
        """Make the row a buffer of its module, not part of its ``state_dict``."""
        self.name = _free_name(self.module)
        self.tensor = torch.from_numpy(self.values)
        # Into the registry itself: a module may have its own idea of register_buffer.
        self.module._buffers[self.name] = self.tensor
        self.module._non_persistent_buffers_set.add(self.name)

    def _grow(self, size: int) -> None:
        written, registered = self.values, self.name is not None
        self.remove()
        self.values = np.zeros(2 * size, dtype=np.int64)
        self.values[: len(written)] = written
        if registered:
            self.register()

    def count_call(self) -> None:
        """Note one more call."""
        self.calls += 1
        self.values[_CALLS] = self.calls

    def write_input(self, order: int, shapes: tuple[Shape, ...]) -> None:
        """Note that the first call begins: its place in the order, and every input shape."""
        self.values[_ORDER] = order
        self.begun = _encode(shapes)

    def write_output(self, shapes: tuple[Shape, ...], dtype: torch.dtype | None) -> None:
        """Note the end of the first call: every input and output shape, and the dtype of the first output."""
        given, made = self.begun or [], _encode(shapes)
        self.begun = None
        end = _HEAD + len(given) + len(made)
        if end > len(self.values):
            self._grow(end)
        code = 0 if dtype is None else _DTYPE_CODES.get(dtype, 0)
        self.values[_DTYPE:end] = [code, len(given), len(made), *given, *made]  # at once: numpy takes long for each

    def read(self) -> Seen:
        """All that is written in the row."""
        numbers: list[int] = self.values.tolist()
        middle = _HEAD + numbers[_INPUT_LENGTH]
        code = numbers[_DTYPE]
        return Seen(
            numbers[_CALLS],
            numbers[_ORDER],
            DTYPES[code - 1] if code else None,
            _decode(numbers[_HEAD:middle]),
            _decode(numbers[middle : middle + numbers[_OUTPUT_LENGTH]]),
        )

    def remove(self) -> None:
        """Take the buffer off the module; the row itself stays readable."""
        if self.name is not None:
            self.module._buffers.pop(self.name, None)
            self.module._non_persistent_buffers_set.discard(self.name)
            self.name = None


def _free_name(module: nn.Module) -> str:
    """A buffer name that nothing on ``module`` uses: sessions may be nested."""
    name, suffix = BUFFER_NAME, 1
    while name in module._buffers or name in vars(module):
        suffix += 1
        name = f"{BUFFER_NAME}_{suffix}"
    return name


def _memory(rows: int) -> Any:
    return np.zeros((rows, _HEAD + _SHAPE_CAPACITY), dtype=np.int64)


def _encode(shapes: tuple[Shape, ...]) -> list[int]:
    if len(shapes) == 1:
        return [len(shapes[0]), *shapes[0]]
    return [number for shape in shapes for number in (len(shape), *shape)]


def _decode(numbers: list[int]) -> tuple[Shape, ...]:
    if numbers and len(numbers) == numbers[0] + 1:
        return (tuple(numbers[1:]),)
    shapes, start = [], 0
    while start < len(numbers):
        end = start + 1 + numbers[start]
        shapes.append(tuple(numbers[start + 1 : end]))
        start = end
    return tuple(shapes)
