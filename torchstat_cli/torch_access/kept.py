"""Parameters, and their gradients, that a real run may write to: a copy is made of those alone that are written to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from torchstat_cli.torch_access.internals import OpOverload, TorchDispatchMode
from torchstat_cli.torch_access.modes import enter, leave
from torchstat_cli.torch_access.trees import tensors_in


class Kept:
    """The contents of parameters and gradients, so that they can be put back.

    Args:
        parameters: what a run may write to.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self._aliases: list[tuple[nn.Parameter, Tensor, Tensor | None]] = []
        self._storages: dict[int, torch.UntypedStorage] = {}  # by identity: those not written to so far
        self._copies: list[tuple[torch.UntypedStorage, torch.UntypedStorage]] = []
        for parameter in parameters:
            if parameter.is_meta or not _is_plain(parameter):
                continue
            self._aliases.append((parameter, parameter.detach(), parameter.grad))
            for tensor in (parameter, parameter.grad):
                if tensor is not None and _is_plain(tensor):
                    storage = tensor.untyped_storage()
                    self._storages[storage._cdata] = storage

    def before_write(self, tensors: Iterable[Tensor]) -> None:
        """An operator is about to write to ``tensors``."""
        self._copy([tensor.untyped_storage()._cdata for tensor in tensors if _is_plain(tensor)])

    def before_the_same(self, other: Kept) -> None:
        """What was written to in a run that ``other`` saw is about to be written to again, unseen."""
        self._copy([storage._cdata for storage, _ in other._copies])

    def _copy(self, identities: Iterable[int]) -> None:
        for identity in identities:
            storage = self._storages.pop(identity, None)
            if storage is not None:
                self._copies.append((storage, storage.clone()))

    def put_back(self) -> None:
        """Give every parameter the memory, the contents and the gradient that it had."""
        for storage, copy in self._copies:
            storage.copy_(copy)
        for parameter, alias, gradient in self._aliases:
            if parameter.data_ptr() != alias.data_ptr() or parameter.shape != alias.shape:
                parameter.data = alias
            if parameter.grad is not gradient:
                parameter.grad = gradient


def _is_plain(tensor: Tensor) -> bool:
    return tensor.layout is torch.strided and not tensor.is_nested


def written(func: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Tensor]:
    """The tensors that a call writes to."""
    return [
        tensor
        for position, argument in enumerate(func._schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
        for tensor in tensors_in(args[position] if position < len(args) else kwargs.get(argument.name))
    ]


@contextmanager
def untouched_parameters(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Put back what the run inside writes to ``parameters``, whichever operator does it."""
    kept = Kept(parameters)
    watch = _Watch(kept)
    enter(watch)
    try:
        yield
    finally:
        leave(watch)
        kept.put_back()


class _Watch(TorchDispatchMode):
    def __init__(self, kept: Kept) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
        self._kept = kept

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if isinstance(func, OpOverload) and func._schema.is_mutable:
            self._kept.before_write(written(func, args, kwargs or {}))
        return func(*args, **(kwargs or {}))
