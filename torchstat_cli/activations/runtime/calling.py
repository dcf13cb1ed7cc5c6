"""Call the user's model, and turn one common mistake into a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from torchstat_cli.errors import InputError, UsageError
from torchstat_cli.torch_access.modules import parameters_of
from torchstat_cli.torch_access.trees import tensors_in


def call_model(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """``model(*args, **kwargs)``.

    Raises:
        InputError: the call failed, and model and inputs are on different devices. Every other error passes unchanged.
    """
    try:
        return model(*args, **kwargs)
    except (RuntimeError, NotImplementedError) as error:
        explained = another_device(model, args, kwargs)
        if explained is None:
            raise
        raise explained from error


def another_device(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> InputError | None:
    """The error for inputs on another device than the model's first parameter, None where they are on the same."""
    parameter = next(parameters_of(model), None)
    wrong = [tensor for tensor in tensors_in((args, dict(kwargs))) if _elsewhere(parameter, tensor)]
    if not wrong or parameter is None:
        return None
    return InputError(
        f"the model is on {parameter.device}, an input of shape {tuple(wrong[0].shape)} on {wrong[0].device}",
        f"move the inputs: x.to({str(parameter.device)!r})",
    )


def check_device(device: torch.device | str | None) -> None:
    """Raise, before a model runs for nothing, for a device that torch has no name for.

    Raises:
        UsageError: naming the device.
    """
    if device is not None:
        try:
            torch.device(device)
        except RuntimeError:
            raise UsageError(f"torch knows no device {device!r}", "use cpu, cuda, cuda:N or mps") from None


def _elsewhere(parameter: Any, tensor: Any) -> bool:
    return parameter is not None and parameter.device != tensor.device
