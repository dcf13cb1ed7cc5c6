"""Put a finished text where the user wants it: whole or not at all."""

from __future__ import annotations

import errno
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from torchstat_cli.errors import OutputError
from torchstat_cli.foreign_text import shown
from torchstat_cli.replacing import replace_file
from torchstat_cli.report.terminal import Terminal
from torchstat_cli.standard_streams import descriptor_named, names_descriptor

Place = str | os.PathLike[str]


def terminal_of(output: Place | None, stream: TextIO | None = None) -> Terminal:
    """What the place ``output`` can show: a file has no width and no colors, whatever terminal the command runs in."""
    return Terminal.detect(stream or sys.stdout) if output is None or _is_dash(output) else Terminal()


def write(text: str, output: Place | None = None, stream: TextIO | None = None) -> None:
    """Write ``text`` to the file ``output``, or to standard output for ``None`` and ``"-"``.

    Args:
        text: a whole document.
        output: a file; a device, a pipe or a descriptor (``/dev/stdout``, ``/dev/fd/3``) is written to as it is.
        stream: what is standard output; None is ``sys.stdout``.

    Raises:
        OutputError: the place cannot be written; an older file there is untouched and nothing is left behind.
        BrokenPipeError: whoever read standard output stopped reading.
    """
    if output is None or _is_dash(output):
        _write_stream(text, stream or sys.stdout)
        return
    with _explained(output):
        descriptor = descriptor_named(output)
    if descriptor == 1 and stream is not None:
        _write_stream(text, stream)
        return
    with _explained(output):
        if descriptor is not None:
            _write_descriptor(text, descriptor)
        else:
            _write_file(_encoded(text), Path(output))


def append(text: str, output: Place, stream: TextIO | None = None) -> None:
    """Write ``text`` at the end of the file ``output``; see :func:`write`.

    Raises:
        OutputError: the place cannot be written.
    """
    if descriptor_named(output) is not None:
        write(text, output, stream)
        return
    with _explained(output), open(output, "ab") as file:
        file.write(_encoded(text))


def check_place(output: Place | None) -> None:
    """Say before any work is done that ``output`` cannot be written; nothing is created.

    Raises:
        OutputError: the place is a folder, lies in no folder, bears no possible name, or may not be written.
    """
    if output is None or _is_dash(output):
        return
    with _explained(output):
        if descriptor_named(output) is not None:
            os.stat(output)
            return
        target = Path(os.path.realpath(output))
        if target.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        if not target.parent.exists():
            raise FileNotFoundError(0, "its folder does not exist")
        is_there = True
        try:
            target.stat()
        except FileNotFoundError:
            is_there = False
        if not os.access(target if is_there else target.parent, os.W_OK):
            raise PermissionError(0, "permission denied")


def _is_dash(output: Place) -> bool:
    """Whether ``output`` means standard output, as ``-`` does for most programs."""
    return str(output) == "-"


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _write_stream(text: str, stream: TextIO) -> None:
    # A name that the terminal's encoding lacks is shown as its escape rather than ending the run.
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        message = f"cannot write to standard output: {_reason(error)}"
        raise OutputError(message, "free some space, or choose a file with --output") from error


def _write_descriptor(text: str, descriptor: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()  # what was said before stands before
    with os.fdopen(os.dup(descriptor), "wb") as file:
        file.write(_encoded(text))


def _write_file(data: bytes, path: Path) -> None:
    # Through a symbolic link, not over it; and a device, a pipe or another's descriptor must not be replaced by a file.
    target = Path(os.path.realpath(path))
    if (target.exists() and not target.is_file()) or names_descriptor(path):
        with open(path, "ab") as file:
            file.write(data)
        return
    replace_file(target, lambda file: file.write(data))


@contextmanager
def _explained(output: Place) -> Iterator[None]:
    """Turn what the system says of a place into one sentence."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise OutputError(
            f"cannot write {shown(str(output))}: {_reason(error)}", _remedy(Path(output), error)
        ) from error


def _reason(error: OSError | ValueError) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text[:1].lower() + text[1:]


def _remedy(path: Path, error: OSError | ValueError) -> str:
    if isinstance(error, ValueError) or error.errno == errno.ENAMETOOLONG:
        return "choose another name"
    if isinstance(error, BrokenPipeError):
        return "keep its reader open to the end"
    with suppress(OSError):
        if path.is_dir():
            return "name a file in that folder"
        if not path.parent.exists():
            return f"create the folder first: mkdir -p {path.parent}"
    return "choose a place that you may write to"


class Convertible(ABC):
    """A result that gives itself as text and writes that to a file."""

    @abstractmethod
    def _text(self, form: str) -> str:
        """The result in one format."""

    def to_csv(self, path: Place | None = None) -> str:
        """CSV with one line per row, also written to ``path`` when given.

        Raises:
            OutputError: ``path`` cannot be written.
        """
        return self._output("csv", path)

    def to_json(self, path: Place | None = None) -> str:
        """The whole result as JSON, also written to ``path`` when given.

        Raises:
            OutputError: ``path`` cannot be written.
        """
        return self._output("json", path)

    def to_markdown(self, path: Place | None = None) -> str:
        """A Markdown table and summary, also written to ``path`` when given.

        Raises:
            OutputError: ``path`` cannot be written.
        """
        return self._output("markdown", path)

    def _output(self, form: str, path: Place | None) -> str:
        text = self._text(form)
        if path is not None:
            write(text, path)
        return text
