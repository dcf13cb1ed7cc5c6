"""Delete saved activations, and nothing that somebody else put beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torchstat_cli.activations.saving.pooling import FORMATS
from torchstat_cli.errors import OutputError


def delete_saved(output_folder: str | Path, names: tuple[str, ...], endings: tuple[str, ...]) -> None:
    """Delete the files ``<format>/<id>/*`` that bear one of ``names`` or ``endings``, then the folders left empty.

    Raises:
        OutputError: the folder holds anything else, or a symbolic link, and then all is left as it is; or the system
            refuses to delete.
    """
    folder = Path(output_folder)
    with _explained():
        if folder.is_symlink():
            raise _foreign(folder)
        if not folder.exists():
            return
        # Everything is looked at before anything goes.
        entries = [entry for format_folder in _format_folders(folder) for entry in _below(format_folder)]
        files = [path for path, is_folder in entries if not is_folder]
        for path in files:
            if path.parent.parent == folder or not (path.name in names or path.name.endswith(endings)):
                raise _foreign(path)
        for path in files:
            path.unlink(missing_ok=True)
        for path, is_folder in reversed(entries):
            if is_folder and not any(path.iterdir()):
                path.rmdir()


def _format_folders(folder: Path) -> Iterator[Path]:
    for entry in _entries(folder):
        if entry.name not in FORMATS or not entry.is_dir(follow_symlinks=False):
            raise _foreign(Path(entry.path))
        yield Path(entry.path)


def _below(folder: Path) -> Iterator[tuple[Path, bool]]:
    """``folder`` and what is in it at any depth, and whether each is a folder; parents before what they hold."""
    yield folder, True
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _below(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            yield Path(entry.path), False
        else:
            raise _foreign(Path(entry.path))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    return sorted(os.scandir(folder), key=lambda entry: entry.name)


def _foreign(path: Path) -> OutputError:
    what = "is a symbolic link" if path.is_symlink() else "is no file of saved activations"
    return OutputError(
        f"reset deletes nothing, because {path} {what}", "give a folder that only holds saved activations"
    )


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot reset {error.filename}: {error.strerror}", "choose another output folder") from error
