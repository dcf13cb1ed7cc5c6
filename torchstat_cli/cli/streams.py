"""Standard output carries results alone: whatever a model's code prints, in Python or below it, goes elsewhere.

A model may print through C, a subprocess or descriptor 1 itself, in a thread that outlives its run, or while the
program ends. So results get a stream of their own at the start, and descriptor 1 leads to standard error from then on.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from torchstat_cli.errors import OutputError
from torchstat_cli.standard_streams import fill_closed_streams, flush_everything, forgiving

_OUT, _ERR = 1, 2
_TROUBLE = (OSError, ValueError, OutputError)
_results: list[TextIO] = []  # the innermost last: the command line may run inside itself


def results() -> TextIO:
    """Where results go: standard output as the caller gave it."""
    return _results[-1] if _results else sys.stdout


@contextmanager
def results_alone(*, for_good: bool) -> Iterator[None]:
    """Give results a stream of their own; what else is written to descriptor 1 goes to standard error.

    Args:
        for_good: the process ends with the context. Descriptor 1 then stays as it is, for the threads, the exit
            handlers and the buffers of C that still write to it.
    """
    fill_closed_streams()
    out, err = sys.stdout, sys.stderr
    sys.stderr = lenient = forgiving(err)
    taken = os.dup(_OUT) if _leads_to_descriptor(out) else None
    if taken is not None:
        _ignoring_trouble(out.flush)
        os.dup2(_ERR, _OUT)
    stream = out if taken is None or out.fileno() != _OUT else _stream_like(out, taken)
    _results.append(stream)
    sys.stdout = stream
    try:
        yield
    finally:
        _results.pop()
        _ignoring_trouble(stream.flush)
        if for_good:
            sys.stdout = lenient
        else:
            flush_everything(_TROUBLE)
            sys.stdout, sys.stderr = out, err
            if taken is not None:
                os.dup2(taken, _OUT)
        if stream is not out:
            _ignoring_trouble(stream.close)
        elif taken is not None:
            os.close(taken)


@contextmanager
def foreign_code() -> Iterator[None]:
    """Around all that runs a model's code: what it prints goes to standard error, also what its threads print later."""
    process = os.getpid()
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        flush_everything(_TROUBLE)
        if os.getpid() != process:
            os._exit(1)  # the model forked, and both came out of its code: only one may speak


def _leads_to_descriptor(stream: TextIO) -> bool:
    """Whether ``stream`` writes to the file behind descriptor 1; a test's stream in memory does not."""
    try:
        return os.path.sameopenfile(stream.fileno(), _OUT)
    except (OSError, ValueError):
        return False


def _stream_like(stream: TextIO, descriptor: int) -> TextIO:
    binary = os.fdopen(descriptor, "wb")  # closed at the end of the context
    return _Results(binary, stream.encoding, stream.errors, line_buffering=stream.isatty())


class _Results(io.TextIOWrapper):
    """Standard output; a full disk is an error of the user's, whoever writes: this package, or click its help."""

    def write(self, text: str) -> int:
        """Write, as a stream does."""
        with _explained():
            return super().write(text)

    def flush(self) -> None:
        """Flush, as a stream does."""
        with _explained():
            super().flush()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"cannot write to standard output: {str(error.strerror).lower()}",
            "free some space, or choose a file with --output",
        ) from error


def _ignoring_trouble(write: Callable[[], object]) -> None:
    """A full disk, a reader that has gone, a stream that the model closed."""
    with suppress(*_TROUBLE):
        write()
