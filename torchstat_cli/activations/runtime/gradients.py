"""Gradients of activations, filled in by the backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor

from torchstat_cli.torch_access.trees import map_tensors


class GradientCell:
    """Receives the gradients of one value's tensors as autograd reaches them."""

    PENDING: ClassVar[Any] = object()
    """Stands for a gradient that has not arrived."""

    def __init__(self, value: Any) -> None:
        self._gradients: list[Tensor | None] = []
        # The structure outlives the tensors: only their places in it are kept.
        self._structure = map_tensors(value, self._watch)

    def _watch(self, tensor: Tensor) -> Tensor:
        place = len(self._gradients)
        self._gradients.append(None)
        if tensor.requires_grad:
            tensor.register_hook(self._receiver(place))
        return tensor.new_empty(0).detach()

    def _receiver(self, place: int) -> Callable[[Tensor], None]:
        def receive(gradient: Tensor) -> None:
            earlier = self._gradients[place]
            # Backward passes add up, as they do in a parameter's .grad.
            self._gradients[place] = gradient.detach().clone() if earlier is None else earlier + gradient.detach()

        return receive

    @property
    def value(self) -> Any:
        """The gradients in the value's own structure, :attr:`PENDING` before any arrived."""
        if all(gradient is None for gradient in self._gradients):
            return self.PENDING
        waiting = iter(self._gradients)
        return map_tensors(self._structure, lambda _: next(waiting))  # type: ignore[arg-type, return-value]
