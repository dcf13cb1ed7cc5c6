"""The metadata buffers: one row of named integer slots per module, filled by the capture hooks.

A leaf carries its row as a non-persistent buffer, so it never enters a ``state_dict``; a container's row stays with the
session. The hooks write through a numpy view of the row, because a tensor write would be an operator on the tape.
"""

from __future__ import annotations

from enum import IntEnum

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


DTYPES = tuple(sorted({str(value) for value in vars(torch).values() if isinstance(value, torch.dtype)}))
_DTYPE_CODES = {name: code for code, name in enumerate(DTYPES, start=1)}


class MetadataRow:
    """One module's row: an int64 tensor on the CPU, and the numpy view that writes to it.

    It is the module's buffer from ``register`` to ``remove``, and readable before and after.
    """

    __slots__ = ("module", "name", "tensor", "values")

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.name: str | None = None  # of the registered buffer
        self._allocate(len(Slot) + _SHAPE_CAPACITY)

    def _allocate(self, size: int) -> None:
        self.values = np.zeros(size, dtype=np.int64)
        self.tensor = torch.from_numpy(self.values)

    def register(self) -> None:
        """Make the row a buffer of its module, not part of its ``state_dict``."""
        self.name = _free_name(self.module)
        # The base class's method: a module may have its own idea of register_buffer.
        nn.Module.register_buffer(self.module, self.name, self.tensor, persistent=False)

    def _reserve(self, size: int) -> None:
        if size > len(self.values):
            written, registered = self.values, self.name is not None
            self.remove()
            self._allocate(2 * size)
            self.values[: len(written)] = written
            if registered:
                self.register()

    def write_input(self, order: int, shapes: tuple[Shape, ...]) -> None:
        """Note the first call: its place in the order, and every input shape."""
        encoded = _encode(shapes)
        self._reserve(len(Slot) + len(encoded))
        self.values[Slot.ORDER] = order
        self.values[Slot.INPUT_LENGTH] = len(encoded)
        self.values[len(Slot) : len(Slot) + len(encoded)] = encoded

    def write_output(self, shapes: tuple[Shape, ...], dtype: torch.dtype | None) -> None:
        """Note the result of the first call: every output shape, and the dtype of the first."""
        encoded = _encode(shapes)
        start = len(Slot) + int(self.values[Slot.INPUT_LENGTH])
        self._reserve(start + len(encoded))
        self.values[Slot.DTYPE] = _DTYPE_CODES.get(str(dtype), 0)
        self.values[Slot.OUTPUT_LENGTH] = len(encoded)
        self.values[start : start + len(encoded)] = encoded

    @property
    def calls(self) -> int:
        """Forward calls."""
        return int(self.values[Slot.CALLS])

    @property
    def order(self) -> int:
        """Place of the first call among all modules, from 1; 0 is never called."""
        return int(self.values[Slot.ORDER])

    @property
    def dtype(self) -> str | None:
        """dtype of the first output of the first call, as torch spells it without the prefix."""
        code = int(self.values[Slot.DTYPE])
        return DTYPES[code - 1].removeprefix("torch.") if code else None

    @property
    def input_shape(self) -> tuple[Shape, ...]:
        """Shapes of the inputs of the first call."""
        start = len(Slot)
        return _decode(self.values[start : start + int(self.values[Slot.INPUT_LENGTH])])

    @property
    def output_shape(self) -> tuple[Shape, ...]:
        """Shapes of the outputs of the first call."""
        start = len(Slot) + int(self.values[Slot.INPUT_LENGTH])
        return _decode(self.values[start : start + int(self.values[Slot.OUTPUT_LENGTH])])

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


def _encode(shapes: tuple[Shape, ...]) -> list[int]:
    return [number for shape in shapes for number in (len(shape), *shape)]


def _decode(numbers: np.ndarray[tuple[int], np.dtype[np.int64]]) -> tuple[Shape, ...]:
    shapes, rest = [], [int(number) for number in numbers]
    while rest:
        rank = rest[0]
        shapes.append(tuple(rest[1 : 1 + rank]))
        rest = rest[1 + rank :]
    return tuple(shapes)
