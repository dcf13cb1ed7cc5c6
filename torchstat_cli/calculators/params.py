"""Parameters and buffers: each distinct tensor counts once, where it is first registered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from torchstat_cli.records import ModuleFacts, OwnedTensor


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
    if not module.parameters and not module.buffers:
        return _NOTHING
    tied_to = [owners[tensor.key] for tensor in module.parameters if tensor.key in owners]
    parameters = _first_registered(module.parameters, module.path, owners)
    buffers = _first_registered(module.buffers, module.path, owners)
    return Holdings(
        params=sum([tensor.numel for tensor in parameters]),
        trainable_params=sum([tensor.numel for tensor in parameters if tensor.trainable]),
        buffers=sum([tensor.numel for tensor in buffers]),
        param_bytes=sum([tensor.nbytes for tensor in parameters]),
        buffer_bytes=sum([tensor.nbytes for tensor in buffers]),
        shared_with=next((path for path in tied_to if path != module.path), None),
    )


def _first_registered(tensors: tuple[OwnedTensor, ...], path: str, owners: dict[int, str]) -> list[OwnedTensor]:
    first = []
    for tensor in tensors:
        if tensor.key not in owners:
            owners[tensor.key] = path
            first.append(tensor)
    return first
