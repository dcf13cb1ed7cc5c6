"""What each thread's own calls of a model left."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock, local
from typing import Any

from torch import Tensor


@dataclass
class Kept:
    """What the calls of one thread left."""

    outputs: dict[str, Any] = field(default_factory=dict)  # by layer
    nested_masks: dict[str, Tensor] = field(default_factory=dict)  # by layer whose nested output was padded
    dtypes: dict[str, str] = field(default_factory=dict)  # by layer: a dtype that numpy lacks
    mask: Any = None  # that the model was called with


class ThreadStore:
    """One :class:`Kept` per thread, which goes with the thread, save the one that was written last."""

    def __init__(self) -> None:
        self._latest = Kept()
        self._is_taken = False  # whether any thread writes to it
        self._lock = Lock()
        self._threads = local()

    @property
    def own(self) -> Kept:
        """This thread's, to write to."""
        kept = getattr(self._threads, "kept", None)
        if kept is None:
            with self._lock:
                # The first thread writes where others may be looking already.
                kept = self._threads.kept = Kept() if self._is_taken else self._latest
                self._is_taken = True
        self._latest = kept
        return kept

    @property
    def here(self) -> Kept:
        """This thread's, to read from; the one written last where this thread wrote none."""
        kept: Kept = getattr(self._threads, "kept", self._latest)
        return kept

    def __getstate__(self) -> Kept:
        return self.here

    def __setstate__(self, kept: Kept) -> None:
        self.__init__()  # type: ignore[misc]
        self._latest = kept
