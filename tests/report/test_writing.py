from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

from torchstat_cli.errors import OutputError
from torchstat_cli.report.writing import append, check_place, write


def write_text(place: Path) -> None:
    write("text", place)


def test_a_new_file_and_nothing_beside_it(tmp_path: Path) -> None:
    write("a\n≥\r\n", tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_bytes() == "a\n≥\r\n".encode()
    assert os.listdir(tmp_path) == ["out.txt"]


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    write("a", tmp_path / "ours")
    (tmp_path / "usual").touch()
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_an_older_file_is_replaced_and_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old and longer")
    path.chmod(0o640)
    write("new", path)
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_through_a_symbolic_link(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "target")
    write("text", link)
    assert link.is_symlink()
    assert (tmp_path / "target").read_text() == "text"


def test_a_device_stays_a_device() -> None:
    write("text", os.devnull)
    assert not Path(os.devnull).is_file()


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/proc/thread-self/fd/1", "link"])
def test_named_standard_output_is_standard_output(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "link").symlink_to("/dev/stdout")
    check_place(tmp_path / name)
    write("text\n", tmp_path / name, sys.stdout)
    append("more\n", tmp_path / name, sys.stdout)
    assert capsys.readouterr().out == "text\nmore\n"


def test_descriptor_is_written_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("w") as log:
        print("before", file=log, flush=True)
        write("text\n", f"/dev/fd/{log.fileno()}")
        print("after", file=log)
    assert path.read_text() == "before\ntext\nafter\n"
    assert os.listdir(tmp_path) == ["log"]


def test_descriptor_of_another_process_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("before\n")
    with path.open("a") as log:
        other = subprocess.Popen(["sleep", "60"], stdout=log)
        inode = path.stat().st_ino
        write("text\n", f"/proc/{other.pid}/fd/1")
        other.kill()
        other.wait()
    assert path.read_text() == "before\ntext\n"
    assert path.stat().st_ino == inode


def test_named_pipe_stays_one(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE)
    check_place(pipe)
    write("text", pipe)
    assert reader.communicate(timeout=60)[0] == b"text"
    assert pipe.is_fifo()


@pytest.mark.parametrize("name", ["/dev/fd/99", "/proc/self/fd/99", "/dev/full"])
def test_descriptor_or_device_that_takes_nothing(name: str) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        write("text", name)


def test_append(tmp_path: Path) -> None:
    for text in ("one", "two"):
        append(text, tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_text() == "onetwo"
    with pytest.raises(OutputError, match="is a directory"):
        append("text", tmp_path)


@pytest.mark.parametrize("place", [write_text, check_place])
@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("missing/out.txt", "mkdir -p"),
        (".", "name a file in that folder"),
        ("file/out.txt", "choose"),
        ("nul\0.txt", "choose"),
        ("x" * 300, "choose another name"),
        ("模" * 90, "choose another name"),
        ("a" * 300 + "/out.txt", "choose another name"),
        ("a/" * 2500 + "x", "choose another name"),
        ("loop", "choose"),
    ],
)
def test_places_that_cannot_be_written(place: Callable[[Path], None], name: str, remedy: str, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("kept")
    with pytest.raises(OutputError, match="cannot write") as caught:
        place(tmp_path / name)
    assert remedy in (caught.value.hint or "")
    assert len(caught.value.message) < 1200
    assert sorted(os.listdir(tmp_path)) == ["file", "loop"]
    assert (tmp_path / "file").read_text() == "kept"


def test_a_read_only_file_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write everywhere
    with pytest.raises(OutputError, match="the file is read-only"):
        write("new", path)
    assert path.read_text() == "old"


@pytest.mark.parametrize("trouble", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_is_left_behind(trouble: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise trouble

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises((OutputError, KeyboardInterrupt)):
        write("new", path)
    assert os.listdir(tmp_path) == ["out.txt"]
    assert path.read_text() == "old"


@pytest.mark.parametrize("output", [None, "-"])
def test_standard_output(output: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    write("text\n", output)
    assert capsys.readouterr().out == "text\n"


def test_names_that_the_terminal_cannot_encode(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(raw, encoding="ascii"))
    write("模\n")
    assert raw.getvalue() == b"\\u6a21\n"


class Broken(TextIOWrapper):
    """A stream on which every write fails."""

    def __init__(self, trouble: OSError) -> None:
        super().__init__(BytesIO(), encoding="utf-8")
        self.trouble = trouble

    def write(self, text: str) -> int:
        raise self.trouble


def test_a_full_disk_behind_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Broken(OSError(28, "No space left on device")))
    with pytest.raises(OutputError, match="cannot write to standard output: no space left"):
        write("text")


def test_a_closed_pipe_is_left_to_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Broken(BrokenPipeError()))
    with pytest.raises(BrokenPipeError):
        write("text")
