"""Streams that a process got from its caller: closed perhaps, or full, or named as files (``/dev/stdout``)."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from typing import Any, TextIO, cast


def fill_closed_streams() -> None:
    """A standard stream that the caller closed (``>&-``) takes what nobody wants to read, and has nothing to give.

    The descriptors too: a file opened later would get the free number, and all that a subprocess prints.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
            os.set_inheritable(descriptor, True)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        for attribute in (name, f"__{name}__"):
            if getattr(sys, attribute) is None:
                setattr(sys, attribute, open(os.devnull, mode))  # noqa: SIM115  (for as long as the process lives)


def flush_everything(trouble: tuple[type[Exception], ...] = (OSError, ValueError)) -> None:
    """Write out what waits in the buffers of Python and C, so that it stands before what comes next.

    Args:
        trouble: what is passed over: a full disk, a reader that has gone, a stream that somebody closed.
    """
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        if stream is not None:
            with suppress(*trouble):
                stream.flush()
    if os.name == "posix":
        import ctypes  # most commands run no foreign code

        ctypes.CDLL(None).fflush(None)


def forgiving(stream: TextIO) -> TextIO:
    """``stream`` that may be full or have no reader: what is written to it is lost then, and the run goes on."""
    return cast(TextIO, _Forgiving(stream))


class _Forgiving:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write as far as possible."""
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write as far as possible."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush as far as possible."""
        with suppress(OSError, ValueError):
            self._stream.flush()

    def close(self) -> None:
        """Stay open: a model's code that closes its output must not take the errors of the run with it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


_FOLDERS = re.compile(r"/dev/fd|/proc/(?P<process>\d+)(/task/\d+)?/fd")


def descriptor_named(path: str | os.PathLike[str]) -> int | None:
    """The descriptor of this process that a path names, through any symbolic links; None for another path.

    The path of a descriptor leads on to the file behind it, but that file belongs to whoever opened it: a shell goes
    on writing where it is, and would never see another in its place.
    """
    place = os.fspath(path)
    for _ in range(40):  # as many links as Linux follows
        folder, name = os.path.split(place)
        folder = os.path.realpath(folder)
        found = _FOLDERS.fullmatch(folder)
        if found and name.isdecimal() and found["process"] in (None, str(os.getpid())):
            return int(name)
        place = os.path.join(folder, name)
        if not os.path.islink(place):
            return None
        place = os.path.join(folder, os.readlink(place))
    return None


def names_descriptor(path: str | os.PathLike[str]) -> bool:
    """Whether a path names a descriptor, of whichever process."""
    return bool(_FOLDERS.fullmatch(os.path.realpath(os.path.dirname(path))))
