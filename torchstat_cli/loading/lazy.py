"""Modules that learn their sizes from the first input: let a dummy call initialise a copy of them."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy

from torchstat_cli.errors import ForwardError
from torchstat_cli.loading.failures import describe
from torchstat_cli.loading.inputs import Inputs, inputs_on
from torchstat_cli.loading.meta import meta_twin
from torchstat_cli.torch_access.modules import buffers_of, parameters_of, parts


def initialised(model: nn.Module, inputs: Inputs, *, on_meta: bool) -> nn.Module:
    """``model`` itself, or where parts of it are not initialised yet, a copy in which they are; ``model`` stays lazy.

    Raises:
        ForwardError: the call that initialises raised.
    """
    if not any(map(_waits, parts(model))):
        return model
    copied = _copy(model, on_meta)
    given = inputs_on(inputs, device="meta") if on_meta else inputs
    try:
        with torch.no_grad():
            copied.eval()(*given.args, **given.kwargs)
    except Exception as error:
        raise ForwardError(
            f"the model has lazy modules, and the call that initialises them failed: {describe(error)}",
            "call it once on real inputs before it is measured",
        ) from error
    return copied


_READY = frozenset((torch.Tensor, nn.Parameter))  # lazy tensors are of other types


def _waits(module: nn.Module) -> bool:
    """Whether a tensor of the module itself has no shape yet."""
    for registry in (module._parameters, module._buffers):
        for tensor in registry.values():
            if tensor is not None and type(tensor) not in _READY and is_lazy(tensor):
                return True
    return False


def _copy(model: nn.Module, on_meta: bool) -> nn.Module:
    """A copy, on meta without memory."""
    tensors = [*parameters_of(model), *buffers_of(model)]
    memo = {id(tensor): _twin(tensor, "meta" if on_meta else None) for tensor in tensors if on_meta or is_lazy(tensor)}
    return copy.deepcopy(model, memo)


def _twin(tensor: torch.Tensor, device: str | None) -> torch.Tensor:
    """A tensor of the same kind; made anew where it has no shape yet, because torch cannot copy lazy buffers."""
    if is_lazy(tensor):
        make: Any = UninitializedParameter if isinstance(tensor, nn.Parameter) else UninitializedBuffer
        return make(device=device or tensor.device, dtype=tensor.dtype)  # type: ignore[no-any-return]
    return meta_twin(tensor) if isinstance(tensor, nn.Parameter) else torch.empty_like(tensor, device=device)
