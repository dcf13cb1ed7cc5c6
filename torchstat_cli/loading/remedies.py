"""What helps where a model's own code failed, read from what torch and Python said of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

from torchstat_cli.foreign_text import text_of

if TYPE_CHECKING:
    from torchstat_cli.loading.inputs import Inputs

_GENERAL = "give inputs that fit with --input, or see the whole traceback with --debug"

# What torch says where code asks for an accelerator that is not there.
_MISSING_DEVICE = re.compile(
    r"not compiled with (\w+) enabled|no (\w+) gpus? (?:are|is) available|no nvidia driver|not linked with support for "
    r"(\w+) devices|invalid device ordinal|found no (\w+) device",
    re.IGNORECASE,
)

_RANK = r"(?<![\w.])(\d)\s*-?\s*(?:d\b|dims?\b|dimension)"  # 4D, 4-D, 4 dims, 3-dim
_WANTED = re.compile(rf"(?<!unbatched )(?<!got )(?<!received ){_RANK}(?! \(unbatched)", re.IGNORECASE)
_RECEIVED = re.compile(rf"\b(?:got|received|got input with) {_RANK}", re.IGNORECASE)
_UNPACKED = re.compile(r"not enough values to unpack \(expected (\d+), got (\d+)\)")
_PERMUTED = re.compile(r"input\.dim\(\) = (\d+) is not equal to len\(dims\) = (\d+)")
_AXIS = re.compile(r"dimension out of range \(expected to be in range of \[-(\d+), \d+\], but got (-?\d+)\)", re.I)
_PRODUCT = re.compile(r"mat1 and mat2 shapes cannot be multiplied \((\d+)x(\d+) and (\d+)x\d+\)")


def forward_remedy(error: BaseException | None, inputs: Inputs | None) -> str:
    """What helps where a forward pass on ``inputs`` raised ``error``."""
    text = "" if error is None else text_of(error)
    batch = None if inputs is None else batch_remedy(text, inputs)
    return device_remedy(error, "forward") or batch or _GENERAL


def device_remedy(error: BaseException | None, where: str) -> str | None:
    """The remedy where the model's code asks for an accelerator that is not there; None for any other failure.

    Args:
        error: what was raised.
        where: the code that raised it: "forward", "factory".
    """
    if error is None or not _MISSING_DEVICE.search(text_of(error)):
        return None
    if where == "forward":
        return "leave .cuda() and device='cuda' out of the forward pass; x.to(y.device) goes where the input is"
    return "leave .cuda() and device='cuda' out of the code that builds the model: --device says where it runs"


def batch_remedy(text: str, inputs: Inputs) -> str | None:
    """``write the batch too: --input 1,3,224,224``, where ``text`` complains of one axis less than some input needs."""
    for name, tensor in _named_tensors(inputs):
        if _wants_one_more_axis(text, tensor):
            shape = ",".join(map(str, (1, *tensor.shape)))
            dtype = "" if tensor.is_floating_point() else f":{str(tensor.dtype).removeprefix('torch.')}"
            return f"write the batch too: --input {f'{name}=' if name else ''}{shape}{dtype}"
    return None


def _named_tensors(inputs: Inputs) -> Iterator[tuple[str | None, torch.Tensor]]:
    for name, value in (*((None, value) for value in inputs.args), *inputs.kwargs.items()):
        if isinstance(value, torch.Tensor):
            yield name, value


def _wants_one_more_axis(text: str, tensor: torch.Tensor) -> bool:
    """Whether ``text`` says that the axes of ``tensor`` are one too few."""
    rank = tensor.dim()
    for pattern in (_UNPACKED, _PERMUTED):
        if found := pattern.search(text):
            return set(map(int, found.groups())) == {rank, rank + 1}
    if found := _AXIS.search(text):
        axes, asked = int(found[1]), int(found[2])
        return axes == rank and asked in (rank, -rank - 1)
    if found := _PRODUCT.search(text):
        # Flattened from axis 1 on, an image without a batch leaves its channels as rows.
        rows, columns, wanted = map(int, found.groups())
        return rank > 1 and rows > 1 and rows * columns == wanted
    if rank == 3 and "tuple index out of range" in text:  # x.shape[3]
        return _looks_like_image(tensor)
    received = _RECEIVED.search(text)
    ranks = {int(found[1]) for found in _WANTED.finditer(text)}
    return rank + 1 in ranks and rank not in ranks and (received is None or int(received[1]) == rank)


def _looks_like_image(tensor: torch.Tensor) -> bool:
    return tensor.shape[0] in (1, 3, 4) and min(tensor.shape[1:]) > 4
