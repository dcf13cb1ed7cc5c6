"""How much of autograd a forward pass needs: none of it is the rule, and inference mode then the quickest.

A model may differentiate in its forward pass: forces from an energy, a Jacobian, a step of learning. Under inference
mode torch gives it zeros, or None, mostly without an error, and so skips work that it does under ``no_grad``. So a
model that asks for gradients there runs once more, under ``no_grad``; and if that leaves it nothing to differentiate,
with gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from enum import Enum
from typing import Any, TypeVar

import torch
from torch.autograd import forward_ad

from torchstat_cli.foreign_text import text_of
from torchstat_cli.torch_access.patching import replaced

Result = TypeVar("Result")


class Gradients(Enum):
    """What autograd does during a forward pass."""

    INFERENCE = "nothing, whatever the model asks for"
    ON_REQUEST = "nothing, except where the model asks for gradients"
    ALWAYS = "every operator is recorded"

    def mode(self) -> AbstractContextManager[Any]:
        """The context to run the model in."""
        return _CONTEXTS[self]()


_CONTEXTS: dict[Gradients, Callable[[], AbstractContextManager[Any]]] = {
    Gradients.INFERENCE: torch.inference_mode,
    Gradients.ON_REQUEST: torch.no_grad,
    Gradients.ALWAYS: torch.enable_grad,
}


def with_gradients_as_needed(run: Callable[[Gradients], Result]) -> Result:
    """What ``run`` returns under the least of autograd with which the model does what it does for its users."""
    asked = _Asked()
    try:
        with asked.watched():
            result = run(Gradients.INFERENCE)
        if not asked.any:
            return result
    except Exception as error:
        if not asked.any and not _lacks_gradients(error):
            raise
    try:
        return run(Gradients.ON_REQUEST)
    except Exception as error:
        if not _lacks_gradients(error):
            raise
    return run(Gradients.ALWAYS)


def _lacks_gradients(error: Exception) -> bool:
    reason = error.__cause__ or error
    return "does not require grad" in text_of(reason)


class _Asked:
    """Notices who asks for gradients in this thread while inference mode refuses them."""

    def __init__(self) -> None:
        self.any = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        with (
            replaced(torch.enable_grad, "__enter__", self._noticing),
            replaced(torch.set_grad_enabled, "__init__", self._noticing),
            replaced(forward_ad, "enter_dual_level", self._noticing),
        ):
            yield

    def _noticing(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def notice(*args: Any, **kwargs: Any) -> Any:
            refused = torch.is_inference_mode_enabled()
            switched_off = args[1:] == (False,) or kwargs.get("mode") is False
            self.any = self.any or (refused and not switched_off)
            return original(*args, **kwargs)

        return notice
