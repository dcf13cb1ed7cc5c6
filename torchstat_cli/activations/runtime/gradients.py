"""Gradients of activations, filled in by the backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from torchstat_cli.torch_access.trees import map_tensors, tensors_in


class GradientCell:
    """Receives the gradients of one value's tensors as autograd reaches them."""

    PENDING: ClassVar[Any] = object()
    """Stands for a gradient that has not arrived."""

    def __init__(self, value: Any, path: str) -> None:
        self.path = path  # of the module whose output it is
        self.reachable = False  # whether a backward pass can bring any gradient
        self.watch(value)

    def watch(self, value: Any) -> None:
        """Wait for the gradients of ``value``, in the place of what was watched before."""
        self.reachable = holds_gradient(value)
        self._gradients: list[Tensor | None] = []
        # The structure outlives the tensors: only their places in it are kept.
        self._structure = map_tensors(value, self._watch_tensor, objects=True)

    def _watch_tensor(self, tensor: Tensor) -> Tensor:
        place = len(self._gradients)
        self._gradients.append(None)
        if tensor.requires_grad:
            tensor.register_hook(self._receiver(place))
        return tensor.new_empty(0).detach()

    def _receiver(self, place: int) -> Callable[[Tensor], None]:
        gradients = self._gradients  # and not the cell, which may watch another value by then

        def receive(gradient: Tensor) -> None:
            earlier = gradients[place]
            # Backward passes add up, as they do in a parameter's .grad.
            gradients[place] = gradient.detach().clone() if earlier is None else earlier + gradient.detach()

        return receive

    @property
    def value(self) -> Any:
        """The gradients in the value's own structure, :attr:`PENDING` before any arrived."""
        if all(gradient is None for gradient in self._gradients):
            return self.PENDING
        if isinstance(self._structure, PackedSequence):
            # Its plan belongs to the gradient as to the value; of its tensors the data alone has a gradient.
            return self._structure._replace(data=self._gradients[0])  # type: ignore[arg-type]
        waiting = iter(self._gradients)
        return map_tensors(self._structure, lambda _: next(waiting), objects=True)  # type: ignore[arg-type, return-value]


def holds_gradient(value: Any) -> bool:
    """Whether a backward pass can reach any tensor of ``value``."""
    return any(tensor.requires_grad for tensor in tensors_in(value, objects=True))
