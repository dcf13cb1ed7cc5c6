"""What `reset=True` deletes, and above all what it does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from torchstat_cli.activations.saving.files import reset_folder
from torchstat_cli.errors import OutputError

SAVED = ("mean/7/a.npz", "mean/7/dtypes.json", "LT/7/b.npy", "FT/set/1/c.safetensors", "custom/7/.npz")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as saving leaves it."""
    for name in SAVED:
        put(tmp_path / "out" / name)
    return tmp_path / "out"


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")


def files(folder: Path) -> set[str]:
    """Every path below ``folder`` that is no plain folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()}


def test_saved_files_and_their_folders_go(folder: Path) -> None:
    (folder / "full" / "7").mkdir(parents=True)
    reset_folder(folder)
    assert list(folder.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    reset_folder(tmp_path / "none")
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "name",
    [
        "full/photo.jpg",
        "full/7/photo.jpg",
        "mean/thesis.txt",
        "mean/7/notes.json",
        "mean/7/a.npz.bak",
        "mean/8/.hidden",
        "mean/array.npz",
        "mean/dtypes.json",
        "thesis.txt",
        "other/7/a.npz",
        "full",
    ],
)
def test_any_other_file_stops_it_before_anything_is_deleted(folder: Path, name: str) -> None:
    put(folder / name)
    with pytest.raises(OutputError, match="reset deletes nothing") as caught:
        reset_folder(folder)
    named = name if name != "other/7/a.npz" else "other"
    assert str(folder / named) in str(caught.value)
    assert files(folder) == {*SAVED, name}


@pytest.mark.parametrize("name", ["mean", "mean/8", "mean/7/d.npz", "mean/set/1"])
def test_a_link_inside_stops_it(folder: Path, tmp_path: Path, name: str) -> None:
    put(tmp_path / "elsewhere" / "7" / "precious.npz")
    before = files(folder)
    place = folder / name
    if name == "mean":
        place.rename(folder / "LT" / "8")
        before = files(folder)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="symbolic link"):
        reset_folder(folder)
    assert files(folder) == {*before, name}
    assert files(tmp_path / "elsewhere") == {"7/precious.npz"}


def test_a_link_as_the_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    for link in (tmp_path / "link", f"{tmp_path}/link/", tmp_path / "link" / "."):
        with pytest.raises(OutputError, match="symbolic link"):
            reset_folder(link)
    assert files(folder) == {*SAVED}
    (tmp_path / "dangling").symlink_to(tmp_path / "none")
    with pytest.raises(OutputError, match="symbolic link"):
        reset_folder(tmp_path / "dangling")


def test_a_link_further_up_is_the_users_way_to_the_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "scratch").symlink_to(tmp_path)
    reset_folder(tmp_path / "scratch" / "out")
    assert files(folder) == set()


def test_a_file_as_the_folder(tmp_path: Path) -> None:
    put(tmp_path / "out")
    with pytest.raises(OutputError, match="cannot reset"):
        reset_folder(tmp_path / "out")
    assert (tmp_path / "out").read_text() == "x"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_no_saved_file(folder: Path) -> None:
    os.mkfifo(folder / "mean" / "7" / "pipe.npz")
    with pytest.raises(OutputError, match=r"pipe\.npz"):
        reset_folder(folder)
    assert files(folder) >= {*SAVED}
