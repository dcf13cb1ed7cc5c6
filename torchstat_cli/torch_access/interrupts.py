"""Hold signals back while something is half done: an interrupt must not leave half a model swapped, or half its hooks.

Python runs the handler of a signal between any two steps of the main thread; the usual one for Ctrl-C raises there.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from torchstat_cli.torch_access.internals import device_file, dispatch_file

_RETRY = 0.001  # seconds
_NUMBERS = tuple(signal.valid_signals())
_HERE = str(Path(__file__).parent)
# Where modes of torch are taken off for a moment: one that an interrupt keeps from coming back is lost.
_DELICATE = frozenset((contextlib.__file__, torch.overrides.__file__, device_file, dispatch_file))

Handler = Callable[[int, FrameType | None], Any]


class _Signals:
    """The handlers of the process while sections are held; the main thread alone changes and reads it."""

    def __init__(self) -> None:
        self.depth = 0  # sections within sections
        self.is_open = False  # code that may be interrupted runs inside the innermost section
        self._handlers: dict[int, Handler] = {}
        self._waiting: list[int] = []

    def begin(self) -> None:
        """Put our handler in the place of every handler that Python code could raise from."""
        try:
            for number in _NUMBERS:
                handler = signal.getsignal(number)
                if callable(handler):
                    self._handlers[number] = handler
                    signal.signal(number, self._receive)
        except BaseException:  # the first of them came before the last was replaced
            self.end()
            raise

    def end(self) -> None:
        """Put the handlers back; what was installed meanwhile stays."""
        try:
            while self._handlers:
                number, handler = next(iter(self._handlers.items()))
                if signal.getsignal(number) == self._receive:
                    signal.signal(number, handler)
                del self._handlers[number]
        finally:
            if self._handlers:  # one that is back already has raised
                self.end()

    def deliver(self) -> None:
        """Run the handlers of what was held back."""
        while self._waiting:
            self._run(self._waiting.pop(0), None)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if not self.is_open:
            self._waiting.append(number)
        elif frame is not None and _is_delicate(frame.f_code.co_filename):
            # Between two sections, where a raised exception would skip the way out: a moment later it will not.
            timer = threading.Timer(_RETRY, signal.raise_signal, (number,))
            timer.daemon = True
            timer.start()
        else:
            self._run(number, frame)

    def _run(self, number: int, frame: FrameType | None) -> None:
        handler = self._handlers.get(number) or signal.getsignal(number)
        if not callable(handler):
            return
        was_open, self.is_open = self.is_open, False  # from the moment that it raises on, all is being put back
        handler(number, frame)
        self.is_open = was_open


_signals = _Signals()


def _is_delicate(filename: str) -> bool:
    return filename in _DELICATE or filename.startswith(_HERE)


@contextmanager
def held_back() -> Iterator[None]:
    """Signals that come within the section are handled at its end, in the main thread; other threads get none."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if _signals.depth == 0:
        _signals.begin()
    _signals.depth += 1
    was_open, _signals.is_open = _signals.is_open, False
    try:
        yield
    finally:
        _signals.depth -= 1
        if _signals.depth == 0:
            try:
                _signals.end()
            finally:
                _signals.deliver()
        else:
            _signals.is_open = was_open
            if was_open:
                _signals.deliver()


def to_the_end(action: Callable[[], object]) -> None:
    """Run ``action`` with signals held back; once more where one came before they were.

    Args:
        action: takes something away; a second time it finds nothing left to do.
    """
    try:
        with held_back():
            action()
    except BaseException:
        with held_back():
            action()
        raise


@contextmanager
def let_through() -> Iterator[None]:
    """Within a section: foreign code runs that may be interrupted, once: from then on the section is closed."""
    if threading.current_thread() is not threading.main_thread() or _signals.depth == 0:
        yield
        return
    try:
        _signals.is_open = True
        _signals.deliver()
        yield
    finally:
        _signals.is_open = False
