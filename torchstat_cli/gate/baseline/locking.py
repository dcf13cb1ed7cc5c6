"""One writer of a file at a time, by a lock that the operating system frees when its holder ends, however it ends."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from torchstat_cli.errors import OutputError

PATIENCE = 20.0
"""Seconds to wait for another writer, which holds the lock for milliseconds."""

_PAUSE = 0.02  # seconds between two attempts


@contextlib.contextmanager
def sole_writer(path: Path) -> Iterator[None]:
    """Hold ``path`` against every other process that writes it in this way.

    The lock lies on a side file in the same folder, which goes when the writer is done. A writer that is killed leaves
    the side file without a lock, and the next one takes it over. Where no lock can be had, because the folder may not
    be written or its file system has none, the block runs without one.

    Raises:
        OutputError: another writer does not let go.
    """
    # A link and the file it points at are one file.
    target = path.resolve()
    side = target.with_name(f".{target.name}.lock")
    descriptor = _acquire(path, side)
    try:
        yield
    finally:
        if descriptor is not None:
            _release(descriptor, side)


def _acquire(path: Path, side: Path) -> int | None:
    """The descriptor that holds the lock; None where no lock can be had."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            side.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(side, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            return None
        try:
            _lock(descriptor)
            if _is_still_there(descriptor, side):
                return descriptor
        except (BlockingIOError, PermissionError):
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise OutputError(
                    f"another modelstat has been writing {path} for {PATIENCE:g} s", "wait for it to end, or end it"
                ) from None
        except OSError:
            os.close(descriptor)
            return None
        os.close(descriptor)
        time.sleep(_PAUSE)


def _lock(descriptor: int) -> None:
    """Lock the open file, or raise at once.

    Raises:
        BlockingIOError: it is locked; PermissionError says the same on Windows.
        OSError: the file system has no locks.
    """
    # Each module exists on one kind of system only.
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_still_there(descriptor: int, side: Path) -> bool:
    """Whether the locked file is the one that others will find: its last holder may have removed it meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(side))
    except FileNotFoundError:
        return False


def _release(descriptor: int, side: Path) -> None:
    # Removed while it is locked: whoever waits for it sees that it is gone. Windows removes no open file.
    with contextlib.suppress(OSError):
        os.unlink(side)
    os.close(descriptor)
    if sys.platform == "win32":
        with contextlib.suppress(OSError):
            os.unlink(side)
