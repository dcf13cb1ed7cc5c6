"""What a file of weights holds: tensors without the code that uses them."""

from __future__ import annotations

from typing import NamedTuple

from torchstat_cli.records.operators import Shape


class StoredTensor(NamedTuple):
    """One tensor, or a quantized weight with all that its library stores for it."""

    name: str
    shape: Shape  # as stored; of a quantized weight the shape that it stands for, where the file tells
    dtype: str  # as torch spells it; of a quantized weight what it is packed in
    numel: int  # elements that it stands for
    nbytes: int
    is_buffer: bool = False  # by its name: running statistics and the like
    packing: str | None = None  # "GPTQ, 4 bits" of a quantized weight


class Weights(NamedTuple):
    """The tensors of one file, each distinct one once."""

    path: str  # as the user wrote it
    kind: str  # "a state dict", "safetensors"
    tensors: tuple[StoredTensor, ...]
    tied: tuple[str, ...] = ()  # further names of tensors above

    @property
    def params(self) -> int:
        """Elements of what is no buffer."""
        return sum(tensor.numel for tensor in self.tensors if not tensor.is_buffer)

    @property
    def buffers(self) -> int:
        """Elements of buffers."""
        return sum(tensor.numel for tensor in self.tensors if tensor.is_buffer)

    @property
    def nbytes(self) -> int:
        """Bytes of all."""
        return sum(tensor.nbytes for tensor in self.tensors)
