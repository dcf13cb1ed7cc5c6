"""Replace a file as a whole: at every moment its name leads to all the old bytes or to all the new ones."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def replace_file(target: Path, write: Callable[[BinaryIO], Any], *, durable: bool = False) -> None:
    """Let ``write`` fill a file beside ``target``, then put it in its place.

    What an older file was stays: its permissions, owner and attributes, and its other names. A file whose owner may not
    be given away, or that has other names (hard links), is therefore overwritten where it is.

    Args:
        target: no symbolic link.
        write: gets the open file.
        durable: wait until the disk has the bytes, so that a machine that loses its power keeps the old or the new.

    Raises:
        OSError: the place cannot be written; an older file there is as it was, and nothing is left beside it.
    """
    older = _status(target)
    if older is not None and not os.access(target, os.W_OK):
        raise PermissionError(0, "the file is read-only")
    with _undisturbed():
        # The first 40 characters are at most 160 bytes; a name may have 255.
        temporary = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}")
        # Made with the permissions that it will have, so that nobody reads meanwhile what he may not.
        mode = 0o666 if older is None else stat.S_IMODE(older.st_mode)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        try:
            with os.fdopen(handle, "wb") as file:
                write(file)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            if older is None or (older.st_nlink == 1 and _made_alike(temporary, target, older)):
                os.replace(temporary, target)
            else:
                _overwrite(target, temporary)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)


def _status(target: Path) -> os.stat_result | None:
    try:
        return os.stat(target)
    except FileNotFoundError:
        return None


def _made_alike(temporary: Path, target: Path, older: os.stat_result) -> bool:
    """Whether the new file could be given owner, permissions and attributes of the older one."""
    mine = os.stat(temporary)
    try:
        if (mine.st_uid, mine.st_gid) != (older.st_uid, older.st_gid) and hasattr(os, "chown"):
            os.chown(temporary, older.st_uid, older.st_gid)
    except PermissionError:
        return False
    os.chmod(temporary, stat.S_IMODE(older.st_mode))
    if hasattr(os, "listxattr"):
        with suppress(OSError):  # not every file system has any, and not every user may set all
            for name in os.listxattr(target):
                os.setxattr(temporary, name, os.getxattr(target, name))
    return True


def _overwrite(target: Path, source: Path) -> None:
    """Copy the bytes of ``source`` into ``target``; those that were there return if that fails."""
    before = target.read_bytes()
    try:
        with source.open("rb") as new, target.open("r+b") as file:
            shutil.copyfileobj(new, file)
            file.truncate()
    except BaseException:
        with target.open("r+b") as file:
            file.write(before)
            file.truncate()
        raise


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A signal that ends the program waits until the file is in its place, or its remains are gone.

    It then ends the program as it would have. (An exception in its place would wait for C code to return, for as long
    as a model computes; an interrupt is such an exception anyway.)
    """
    came: list[int] = []
    handlers: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():  # no other may set handlers
        handlers = {number: signal.getsignal(number) for number in _ENDING}
    changed = [number for number, handler in handlers.items() if handler is not None]  # None: it is one of C
    for number in changed:
        signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, handlers[number])
        for number in came:
            signal.raise_signal(number)
