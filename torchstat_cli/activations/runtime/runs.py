"""Tell which forward passes belong together: those that one call of a model's method makes, such as `generate`."""

from __future__ import annotations

import sys
from types import FrameType

from torch import nn


class Runs:
    """The runs of a model within one observation."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._frame: FrameType | None = None  # held, so that no later call can lie where it lay

    def is_new(self) -> bool:
        """Whether the forward pass that begins here belongs to another run than the last one asked about."""
        outermost = None
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame.f_code.co_varnames[:1] == ("self",) and frame.f_locals.get("self") is self._model:
                outermost = frame
            frame = frame.f_back
        # A pass that nothing of the model's is around is a run of its own.
        if outermost is None or outermost.f_code.co_filename == nn.Module.__call__.__code__.co_filename:
            self._frame = None
            return True
        known, self._frame = self._frame, outermost
        return known is not outermost

    def forget(self) -> None:
        """Let go of the last run."""
        self._frame = None
