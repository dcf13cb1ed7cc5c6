"""Call the user's model, and turn one common mistake into a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from torchstat_cli.activations.values import tensors_in
from torchstat_cli.errors import InputError


def call_model(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """``model(*args, **kwargs)``.

    Raises:
        InputError: the call failed, and model and inputs are on different devices. Every other error passes unchanged.
    """
    try:
        return model(*args, **kwargs)
    except (RuntimeError, NotImplementedError) as error:
        parameter = next(model.parameters(), None)
        wrong = [tensor for tensor in tensors_in((args, dict(kwargs))) if _elsewhere(parameter, tensor)]
        if not wrong or parameter is None:
            raise
        raise InputError(
            f"the model is on {parameter.device}, an input of shape {tuple(wrong[0].shape)} on {wrong[0].device}",
            f"move the inputs: x.to({str(parameter.device)!r})",
        ) from error


def _elsewhere(parameter: Any, tensor: Any) -> bool:
    return parameter is not None and parameter.device != tensor.device
