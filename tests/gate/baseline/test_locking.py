"""Writers of one baseline file at once: nothing is lost, nothing stays behind, nobody waits for the dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from torchstat_cli.errors import OutputError
from torchstat_cli.gate.baseline import locking
from torchstat_cli.gate.baseline.files import load_baseline
from torchstat_cli.gate.baseline.locking import sole_writer

ROOT = Path(__file__).parents[2]

# Each process updates models of its own, one after the other, in the file that they share.
WRITER = """
import sys
from pathlib import Path
from tests.gate.profiles import entry
from tests.gate.test_run import Gate, flops
root, name = Path(sys.argv[1]), sys.argv[2]
names = [f"{name}{number}" for number in range(8)]
gate = Gate(root, *(entry(name) for name in names))
for each in names:
    gate.check({each: flops(1000)}, each, update=True)
"""

HOLDER = """
import sys, time
from pathlib import Path
from torchstat_cli.gate.baseline.locking import sole_writer
with sole_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    writers = [start(WRITER, tmp_path, name) for name in "abcd"]
    for writer in writers:
        writer.communicate()
    assert [writer.returncode for writer in writers] == [0, 0, 0, 0]
    assert set(load_baseline(tmp_path / "baseline.json") or {}) == {f"{a}{n}" for a in "abcd" for n in range(8)}
    assert os.listdir(tmp_path) == ["baseline.json"]


def test_a_killed_writer_holds_nobody_up(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    holder = start(HOLDER, path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    before = time.monotonic()
    with sole_writer(path):
        assert time.monotonic() - before < 5
    assert os.listdir(tmp_path) == []


def test_one_that_does_not_let_go_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "PATIENCE", 0.1)
    path = tmp_path / "baseline.json"
    with (
        sole_writer(path),
        pytest.raises(OutputError, match=r"another modelstat has been writing .*baseline\.json") as caught,
        sole_writer(path),
    ):
        pass
    assert caught.value.hint
    assert os.listdir(tmp_path) == []


def test_a_link_and_its_file_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locking, "PATIENCE", 0.1)
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "real.json")
    with sole_writer(link), pytest.raises(OutputError), sole_writer(tmp_path / "real.json"):
        pass


def test_a_folder_that_cannot_be_made_is_left_to_the_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with sole_writer(tmp_path / "file" / "baseline.json"):
        assert os.listdir(tmp_path) == ["file"]
