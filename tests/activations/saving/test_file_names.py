"""Names of modules as names of files."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchstat_cli.activations.saving.file_names import file_name

NAMES = st.text(st.characters() | st.sampled_from("./\\\\%\0~2F"), max_size=300)


@pytest.mark.parametrize("name", ["encoder.layer.0", "blocks.3.attn", "", "größe.0", "a b", "...", "a~b", "x" * 251])
def test_an_ordinary_name_stays(name: str) -> None:
    assert file_name(name, ".npz") == f"{name}.npz"


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("en/de", "en%2Fde"),
        ("en%2Fde", "en%252Fde"),
        ("../../UP", "..%2F..%2FUP"),
        ("/etc/x", "%2Fetc%2Fx"),
        ("a\\b", "a%5Cb"),
        ("a\0b", "a%00b"),
        (".", "%2E"),
        ("..", "%2E%2E"),
        ("50%", "50%25"),
        ("\ud800", "%ED%A0%80"),
    ],
)
def test_what_no_file_can_bear(name: str, stem: str) -> None:
    assert file_name(name, ".npy") == f"{stem}.npy"
    assert unquote(stem, errors="surrogatepass") == name


def test_long_names_differ_though_they_begin_and_end_alike() -> None:
    names = [f"{'é' * 200}{middle}{'e' * 200}" for middle in "ab"]
    files = [file_name(name, ".safetensors") for name in names]
    assert len({*files}) == 2
    assert all(len(file.encode()) <= 255 and file.endswith(".safetensors") and "%~" in file for file in files)


@given(NAMES)
def test_every_name_is_one_file_in_its_folder(name: str) -> None:
    file = file_name(name, ".npz")
    assert len(file.encode()) <= 255
    assert Path("folder", file).parent == Path("folder")
    assert not {*file} & {"/", "\\", "\0"}
    if "%~" not in file:
        assert unquote(file.removesuffix(".npz"), errors="surrogatepass") == name


@given(NAMES, NAMES)
def test_two_names_are_two_files(first: str, second: str) -> None:
    assert (first == second) == (file_name(first, ".npz") == file_name(second, ".npz"))
