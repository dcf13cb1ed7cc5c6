"""Files are replaced as a whole, keep what they were, and leave nothing beside them, whatever ends the program."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import BinaryIO

import pytest

from torchstat_cli.replacing import replace_file

ROOT = Path(__file__).parents[1]


def put(target: Path, data: bytes) -> None:
    replace_file(target, lambda file: file.write(data))


def test_other_names_of_a_file_show_the_new_text(tmp_path: Path) -> None:
    path, other = tmp_path / "out", tmp_path / "other"
    path.write_text("old and longer")
    os.link(path, other)
    put(path, b"new")
    assert (path.read_text(), other.read_text()) == ("new", "new")
    assert path.stat().st_nlink == 2
    assert sorted(os.listdir(tmp_path)) == ["other", "out"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives files away")
def test_owner_permissions_and_attributes_stay(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("old")
    path.chmod(0o640)
    os.chown(path, 1234, 1235)
    try:
        os.setxattr(path, "user.kept", b"yes")
        attributes = ["user.kept"]
    except OSError:  # this file system has none
        attributes = []
    put(path, b"new")
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (1234, 1235, 0o640)
    assert os.listxattr(path) == attributes


def test_file_that_may_not_be_given_away_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a group may write a file of somebody else."""
    path = tmp_path / "out"
    path.write_text("old and longer")
    inode = path.stat().st_ino
    with monkeypatch.context() as patch:
        real = os.stat
        patch.setattr(os, "chown", _refuse)
        patch.setattr(os, "stat", lambda place, **more: _Foreign(real(place, **more), str(place) == str(path)))
        put(path, b"new")
    assert path.read_text() == "new"
    assert path.stat().st_ino == inode
    assert os.listdir(tmp_path) == ["out"]


def _refuse(*arguments: object) -> None:
    raise PermissionError(1, "Operation not permitted")


class _Foreign:
    """The status of a file, which is somebody else's perhaps."""

    def __init__(self, status: os.stat_result, is_foreign: bool) -> None:
        self._status = status
        self.st_uid = status.st_uid + is_foreign

    def __getattr__(self, name: str) -> object:
        return getattr(self._status, name)


def test_failed_overwriting_brings_the_old_text_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, other = tmp_path / "out", tmp_path / "other"
    path.write_text("old and longer")
    os.link(path, other)

    def half(source: BinaryIO, target: BinaryIO) -> None:
        target.write(source.read(2))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfileobj", half)
    with pytest.raises(OSError, match="No space left"):
        put(path, b"new")
    assert (path.read_text(), path.stat().st_nlink) == ("old and longer", 2)
    assert sorted(os.listdir(tmp_path)) == ["other", "out"]


def test_longest_names(tmp_path: Path) -> None:
    for name in ("x" * 255, "模" * 85):
        put(tmp_path / name, b"new")
        assert os.listdir(tmp_path) == [name]
        (tmp_path / name).unlink()


def test_from_another_thread(tmp_path: Path) -> None:
    """Only the main thread may hold signals back."""
    thread = threading.Thread(target=put, args=(tmp_path / "out", b"new"))
    thread.start()
    thread.join()
    assert (tmp_path / "out").read_bytes() == b"new"


KILLED = """
import os, signal, sys
from pathlib import Path
from torchstat_cli.replacing import replace_file

if signal.{name} != signal.SIGINT:
    signal.signal(signal.{name}, signal.SIG_DFL)  # whoever runs the tests may ignore it

def write(file):
    file.write(b"half")
    os.kill(os.getpid(), signal.{name})
    file.write(b" and half")

replace_file(Path("out"), write)
print("alive")
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
@pytest.mark.parametrize("links", [1, 2])
def test_signal_during_a_write_leaves_nothing_beside_the_file(tmp_path: Path, name: str, links: int) -> None:
    path = tmp_path / "out"
    path.write_text("old")
    if links == 2:
        os.link(path, tmp_path / "other")
    names = sorted(os.listdir(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(name=name)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -getattr(signal, name)
    assert done.stdout == b""
    assert path.read_text() == ("old" if name == "SIGINT" else "half and half")
    assert sorted(os.listdir(tmp_path)) == names


def test_handler_of_the_users_own_is_called_afterwards(tmp_path: Path) -> None:
    path, seen = tmp_path / "out", []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(path.exists()))
    try:
        handler = signal.getsignal(signal.SIGTERM)
        replace_file(path, lambda file: os.kill(os.getpid(), signal.SIGTERM))
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [True]
