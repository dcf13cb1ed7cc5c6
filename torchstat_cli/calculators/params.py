"""Parameters and buffers: each distinct tensor counts once, where it is first registered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from torchstat_cli.records import ModuleFacts


class Holdings(NamedTuple):
    """The tensors that count in one module's row."""

    params: int  # elements
    trainable_params: int  # elements that require gradients
    buffers: int  # elements
    param_bytes: int
    buffer_bytes: int
    shared_with: str | None  # the module that counts a parameter tied to one of this module's


def holdings(modules: Iterable[ModuleFacts]) -> dict[str, Holdings]:
    """What counts where, by path; ``modules`` come in order of registration.

    The sum of ``params`` equals ``sum(p.numel() for p in model.parameters())``.
    """
    owners: dict[int, str] = {}
    return {module.path: _of(module, owners) for module in modules}


_NOTHING = Holdings(0, 0, 0, 0, 0, None)


def _of(module: ModuleFacts, owners: dict[int, str]) -> Holdings:
    """What ``module`` holds that none before it does; ``owners`` tells the first module of every tensor."""
    if not module.parameters and not module.buffers:
        return _NOTHING
    params = trainable = buffers = param_bytes = buffer_bytes = 0
    shared_with = None
    for tensor in module.parameters:
        owner = owners.get(tensor.key)
        if owner is None:
            owners[tensor.key] = module.path
            params += tensor.numel
            param_bytes += tensor.nbytes
            trainable += tensor.numel if tensor.trainable else 0
        elif shared_with is None and owner != module.path:
            shared_with = owner
    for tensor in module.buffers:
        if tensor.key not in owners:
            owners[tensor.key] = module.path
            buffers += tensor.numel
            buffer_bytes += tensor.nbytes
    return Holdings(params, trainable, buffers, param_bytes, buffer_bytes, shared_with)
