"""The old names of tensor types on meta: ``x.type()`` says what it would say at home, and casts to it stay on meta."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor

from torchstat_cli.torch_access.patching import replaced


@contextmanager
def types_as_at_home(home: torch.device) -> Iterator[None]:
    """Within the context, ``Tensor.type`` treats meta tensors as those of ``home``."""
    device = "cpu" if home.type == "meta" else home.type
    with replaced(Tensor, "type", partial(_answering, device)):
        yield


def _answering(device: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def type_(self: Tensor, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
        if not self.is_meta:
            return original(self, dtype, *args, **kwargs)
        if dtype is None:
            return _at_home(original(self), device)
        target = _dtype_of(dtype, device)
        return self.to(target) if target is not None else original(self, dtype, *args, **kwargs)

    return type_


def _at_home(name: str, device: str) -> str:
    """``torch.meta.FloatTensor``, and ``torch.sparse.meta.FloatTensor``, as they are called on ``device``."""
    return name.replace("meta.", "" if device == "cpu" else f"{device}.")


def _dtype_of(wanted: Any, device: str) -> torch.dtype | None:
    """The dtype that a type's name (or class) stands for, None where it is no type of ``device``."""
    name = wanted if isinstance(wanted, str) else getattr(wanted, "__name__", "")
    module = "" if isinstance(wanted, str) else getattr(wanted, "__module__", "")
    *place, kind = (f"{module}.{name}" if module else name).split(".")
    if place != (["torch"] if device == "cpu" else ["torch", device]):
        return None
    if kind == "Tensor":
        return torch.get_default_dtype()
    dtype = getattr(getattr(torch, kind, None), "dtype", None)
    return dtype if isinstance(dtype, torch.dtype) else None
