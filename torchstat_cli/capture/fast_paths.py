"""The memory of the fused fast paths of ``nn``, beside the work of their parts.

In eval and without gradients torch runs ``nn.TransformerEncoderLayer`` and ``nn.MultiheadAttention`` as one fused
operator, which holds other tensors than the parts would, above all the whole matrix of scores. A profile counts the
parts, module by module. Where memory is watched such a module runs twice: once as torch runs it, watched and not
counted, once by its parts, counted and not watched. Whether torch takes the fast path is torch's own decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import torch.nn.functional as F
from torch import nn

from torchstat_cli.capture.memory.liveness import Liveness
from torchstat_cli.capture.session import Session
from torchstat_cli.torch_access.eager import fast_paths_as_found
from torchstat_cli.torch_access.patching import replaced

_MODULES = (nn.TransformerEncoderLayer, nn.MultiheadAttention)


class _PartsTaken(Exception):  # noqa: N818  (no error: an answer)
    """torch runs the module by its parts."""


@contextmanager
def fast_paths_followed(session: Session, liveness: Liveness) -> Iterator[None]:
    """What ``liveness`` is told of modules with a fast path is what torch does with them."""
    follower = _Follower(session, liveness)
    with ExitStack() as stack:
        for module in _MODULES:
            stack.enter_context(replaced(module, "forward", follower.around))
        yield


class _Follower:
    """Runs modules with a fast path for one session."""

    def __init__(self, session: Session, liveness: Liveness) -> None:
        self._session, self._liveness = session, liveness
        self._follows = True  # off while a module runs in one of the two ways

    def around(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """In place of the module's ``forward``."""

        def forward(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if not self._follows or module.training:
                return original(module, *args, **kwargs)
            try:
                self._follows = False
                result = self._as_torch_runs_it(original, module, args, kwargs)
                if result is not None:
                    with self._unwatched():
                        original(module, *args, **kwargs)
                    return result
            finally:
                self._follows = True
            return original(module, *args, **kwargs)

        return forward

    def _as_torch_runs_it(
        self, original: Callable[..., Any], module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """The result of the fast path; None where torch does not take it, or where it fails."""
        hooks, tape = self._session.hooks, self._session.tape
        with ExitStack() as stack:
            tape.counts = False
            stack.callback(setattr, tape, "counts", True)
            stack.enter_context(hooks.withdrawn(module))  # torch takes no fast path around hooks
            stack.enter_context(fast_paths_as_found())
            stack.enter_context(replaced(F, "multi_head_attention_forward", lambda _: _by_parts))
            with suppress(Exception):  # the run by parts fails as well, and its error names the place
                return original(module, *args, **kwargs)
        return None

    @contextmanager
    def _unwatched(self) -> Iterator[None]:
        """Work and modules are noted, memory is not."""
        tape, listeners = self._session.tape, self._session.hooks.listeners
        tape.liveness = None
        listeners.remove(self._liveness)
        try:
            yield
        finally:
            tape.liveness = self._liveness
            listeners.append(self._liveness)


def _by_parts(*args: Any, **kwargs: Any) -> Any:
    raise _PartsTaken
