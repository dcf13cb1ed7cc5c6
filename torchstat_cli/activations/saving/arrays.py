"""Turn what a module returned into one tensor, and a tensor into a numpy array."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from torchstat_cli.errors import OutputError
from torchstat_cli.torch_access.trees import tensors_in

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MAIN_FIELDS = ("last_hidden_state", "logits", "sequence_logits")
_NUMPY_DTYPES = frozenset(
    {torch.float16, torch.float32, torch.float64, torch.complex64, torch.complex128, torch.bool}
    | {torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.int8, torch.int16, torch.int32, torch.int64}
)


def main_tensor(name: str, value: Any) -> Tensor:
    """The tensor that stands for a module's output: itself, the first of a sequence, the main field of a record.

    Raises:
        OutputError: there is no tensor in it.
    """
    if isinstance(value, Tensor):
        return value
    if isinstance(value, (tuple, list)):
        return main_tensor(name, value[0] if value else None)
    # A masked language model's record is told by its logits even where it carries hidden states.
    fields = ("logits", *_MAIN_FIELDS) if type(value).__name__ == "MaskedLMOutput" else _MAIN_FIELDS
    for field in fields:
        found = value.get(field) if isinstance(value, Mapping) else getattr(value, field, None)
        if isinstance(found, Tensor):
            return found
    tensor = next(tensors_in(value, objects=True), None)
    if tensor is None:
        raise OutputError(
            f"{name!r} returned {type(value).__name__}, which holds no tensor", "choose a layer that returns tensors"
        )
    return tensor


def widened(tensor: Tensor) -> bool:
    """Whether numpy lacks the tensor's dtype, so that an array of it is float32."""
    return tensor.dtype not in _NUMPY_DTYPES


def plain(tensor: Tensor) -> Tensor:
    """``tensor`` with its values in plain memory: dequantized, dense."""
    values = tensor.detach()
    if values.is_quantized:
        values = values.dequantize()
    return values if values.layout == torch.strided else values.to_dense()


def to_numpy(tensor: Tensor) -> NDArray[Any]:
    """``tensor`` as an array of the same dtype; bfloat16, 8-bit floats and quantized become float32."""
    values = plain(tensor).cpu().resolve_conj().resolve_neg()
    return (values.float() if widened(values) else values).numpy()
