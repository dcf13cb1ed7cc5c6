from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.gate.profiles import linear, profile
from torchstat_cli.errors import BaselineError, OutputError
from torchstat_cli.gate.baseline.files import load_baseline, save_baseline
from torchstat_cli.gate.baseline.json import write_baseline
from torchstat_cli.gate.baseline.snapshot import snapshot_of

MODELS = {"tiny": snapshot_of(profile(linear("head", 4, 3)))}


def test_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "baseline.json"
    assert load_baseline(path) is None
    assert save_baseline(path, MODELS)
    assert load_baseline(path) == MODELS
    assert path.read_bytes() == write_baseline(MODELS).encode()
    assert os.listdir(path.parent) == ["baseline.json"]


def test_equal_numbers_do_not_touch_the_file(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    save_baseline(path, MODELS)
    os.utime(path, ns=(1, 1))
    assert not save_baseline(path, MODELS)
    assert path.stat().st_mtime_ns == 1


def test_permissions_and_links_stay(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_text("{}")
    real.chmod(0o640)
    link.symlink_to(real)
    save_baseline(link, MODELS)
    assert link.is_symlink()
    assert load_baseline(real) == MODELS
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_a_new_file_may_be_read_by_others(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        save_baseline(tmp_path / "baseline.json", MODELS)
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "baseline.json").stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("content", "words", "remedy"),
    [
        (b"", "is empty", "git checkout -- "),
        (write_baseline(MODELS).encode()[:150], "not valid JSON", "git checkout -- "),
        (b"\x89PNG\r\n\x1a\n\x00\xff", "is no text", "git checkout -- "),
        (b'{"schema": 2, "models": {}}', "newer", "that wrote it"),
        (b"<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> x\n", "merge conflict", "--update"),
        (b"[1, 2]", "is not a baseline", "git checkout -- "),
    ],
)
def test_an_unusable_file_is_refused_and_left_alone(tmp_path: Path, content: bytes, words: str, remedy: str) -> None:
    path = tmp_path / "baseline.json"
    path.write_bytes(content)
    with pytest.raises(BaselineError, match=words) as caught:
        load_baseline(path)
    assert caught.value.exit_code == 2
    assert remedy in str(caught.value.hint)
    assert path.read_bytes() == content


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="cannot read the baseline"):
        load_baseline(tmp_path)
    with pytest.raises(OutputError, match="cannot write the baseline"):
        save_baseline(tmp_path, MODELS)
    assert os.listdir(tmp_path) == []
    assert not list(tmp_path.parent.glob(".*.tmp"))


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "baseline.json"
    path.write_text("old")

    def refuse(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OutputError, match="No space left on device"):
        save_baseline(path, MODELS)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["baseline.json"]


WRITER = """
import sys
from pathlib import Path
from tests.gate.profiles import linear, profile
from torchstat_cli.gate.baseline.files import save_baseline
from torchstat_cli.gate.baseline.snapshot import snapshot_of
versions = [{f"m{n}": snapshot_of(profile(linear("head", 4, width))) for n in range(200)} for width in (3, 5)]
save_baseline(Path(sys.argv[1]), versions[0])
print("ready", flush=True)
while True:
    for models in versions:
        save_baseline(Path(sys.argv[1]), models)
"""


def test_kill_9_leaves_the_old_or_the_new_file_whole(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    whole = {
        write_baseline({f"m{n}": snapshot_of(profile(linear("head", 4, width))) for n in range(200)})
        for width in (3, 5)
    }
    root = Path(__file__).parents[3]
    for attempt in range(4):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], cwd=root, stdout=subprocess.PIPE)
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        time.sleep(0.01 + 0.013 * attempt)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        assert path.read_text() in whole


def test_a_device_is_never_replaced_nor_advised_to_be_removed(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="is empty") as caught:
        load_baseline(Path(os.devnull))
    assert caught.value.hint == "it is no regular file: name another with --baseline FILE"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OutputError, match="pipe: it is no regular file"):
        save_baseline(pipe, MODELS)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
