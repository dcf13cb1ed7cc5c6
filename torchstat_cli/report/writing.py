"""Put a finished text where the user wants it: whole or not at all."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from torchstat_cli.errors import OutputError
from torchstat_cli.report.terminal import Terminal

PathLike = str | os.PathLike[str]


def terminal_of(output: PathLike | None, stream: TextIO | None = None) -> Terminal:
    """What the place ``output`` can show: a file has no width and no colors, whatever terminal the command runs in."""
    return Terminal.detect(stream or sys.stdout) if _file(output) is None else Terminal()


def write(text: str, output: PathLike | None = None, stream: TextIO | None = None) -> None:
    """Write ``text`` to the file ``output``, or to standard output for ``None`` and ``"-"``.

    Args:
        text: a whole document.
        output: a file.
        stream: what is standard output; None is ``sys.stdout``.

    Raises:
        OutputError: the place cannot be written; an older file there is untouched and nothing is left behind.
        BrokenPipeError: whoever read standard output stopped reading.
    """
    path = _file(output)
    if path is None:
        _write_stream(text, stream or sys.stdout)
        return
    try:
        _write_file(text, path)
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot write {str(output)!r}: {_reason(error)}", _remedy(path)) from error


def check_place(output: PathLike | None) -> None:
    """Say before any work is done that ``output`` cannot be written; nothing is created.

    Raises:
        OutputError: the place is a folder, lies in no folder, or may not be written.
    """
    path = _file(output)
    if path is None:
        return
    if path.is_dir() or not path.parent.exists() or not os.access(path if path.exists() else path.parent, os.W_OK):
        reason = (
            "it is a folder"
            if path.is_dir()
            else "its folder does not exist"
            if not path.parent.exists()
            else "permission denied"
        )
        raise OutputError(f"Cannot write {str(output)!r}: {reason}.", _remedy(path))


def _file(output: PathLike | None) -> Path | None:
    """The file that ``output`` names; None for standard output."""
    return None if output is None or str(output) == "-" else Path(output)


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


def _write_file(text: str, path: Path) -> None:
    data = text.encode("utf-8", "backslashreplace")
    # Through a symbolic link, not over it; and a device or a pipe must not be replaced by a file.
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        target.write_bytes(data)
        return
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(0, "the file is read-only")
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:50]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, _mode(target))
        os.replace(temporary, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _mode(target: Path) -> int:
    """The permissions of the older file, or what a new file gets here."""
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _reason(error: OSError | ValueError) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text[:1].lower() + text[1:]


def _remedy(path: Path) -> str:
    try:
        if path.is_dir():
            return "name a file in that folder"
        if not path.parent.exists():
            return f"create the folder first: mkdir -p {path.parent}"
    except (OSError, ValueError):
        return "choose another name"
    return "choose a place that you may write to"
