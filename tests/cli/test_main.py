"""The command line as such: commands, global flags, exit codes, streams, and the ends nobody planned."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import torchstat_cli
from tests.cli.running import MLP, in_narrow_terminal, refused, run
from torchstat_cli.cli import main as main_module
from torchstat_cli.cli.main import COMMANDS, main
from torchstat_cli.errors import ModelstatError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """``--no-color`` sets a variable of the process."""
    monkeypatch.setenv("NO_COLOR", "")


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",)])
def test_help_lists_every_command(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    outcome = run(capsys, *words)
    assert (outcome.code, outcome.err) == (0, "")
    assert all(f"  {name} " in outcome.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_file_and_help(capsys: pytest.CaptureFixture[str], name: str) -> None:
    outcome = run(capsys, name, "--help")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith(f"Usage: modelstat {name} ")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version").out == f"modelstat, version {torchstat_cli.__version__}\n"


# The default command


@pytest.mark.parametrize(
    "words",
    [
        ("profile", MLP),
        (MLP,),
        ("--depth", "9", MLP),
        ("--depth=9", MLP),
        (MLP, "--depth", "9"),
        ("--input", "1,784", MLP),
        ("--quiet", MLP),
        (MLP, "--quiet"),
        ("--quiet", "--depth", "9", MLP, "--no-color"),
        ("--", MLP),
        (MLP, "--"),
    ],
)
def test_profile_may_be_left_out_and_options_may_come_first(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    expected = run(capsys, "profile", MLP)
    assert expected.code == 0
    assert run(capsys, *words) == expected


def test_word_after_two_dashes_is_a_model_not_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no model '--depth'" in refused(capsys, "--", "--depth")


def test_typo_of_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no command 'profil'; did you mean profile?" in refused(capsys, "profil", MLP)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((MLP, "--detph", "1"), "No such option '--detph'"),
        (("profile", MLP, "another"), "unexpected extra argument (another)"),
        (("profile",), "Missing argument 'MODEL'"),
        (("--quiet",), "Missing"),
        ((MLP, "--input"), "requires an argument"),
        ((MLP, "--format", "xml"), "'xml' is not one of"),
        ((MLP, "--top", "many"), "not a valid integer"),
    ],
)
def test_wrong_usage_points_at_help(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str) -> None:
    error = refused(capsys, *words)
    assert sentence in error
    assert "--help" in error


# Flags


def test_debug_shows_the_traceback_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (("--debug", "no.such:model"), ("no.such:model", "--debug")):
        outcome = run(capsys, *words)
        assert outcome.code == 2
        assert outcome.err.startswith("Traceback (most recent call last)")
        assert "error: no module named 'no'" in outcome.err


def test_quiet_drops_notices_but_no_errors(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    model = "sample_models.branch:data_dependent_branch"
    monkeypatch.setattr("torchstat_cli.tasks.rungs.place", _always_for_real)
    loud, quiet = run(capsys, model), run(capsys, model, "--quiet")
    assert "note: " in loud.err
    assert (quiet.code, quiet.err) == (0, "")
    assert "error: " in refused(capsys, "--quiet", "no.such:model")


def _always_for_real(source: Any, device: str, dtype: Any = None, limit_bytes: int | None = None) -> Any:
    from torchstat_cli.loading import Placed

    return Placed(source.build(), "cpu", ("built on the CPU",))


# Ends nobody planned


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyboardInterrupt(), "error: interrupted"),
        (MemoryError(), "error: out of memory"),
        (ModelstatError("it broke", "mend it"), "error: it broke\n  mend it"),
        (
            ZeroDivisionError("division by zero"),
            "error: ZeroDivisionError: division by zero\n  this is a bug in modelstat",
        ),
        (SystemExit(0), "error: the model ended the program: sys.exit(0)"),
        (SystemExit(1), "error: the model ended the program: sys.exit(1)"),
    ],
)
def test_every_exception_is_one_sentence_and_undecided(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: BaseException, message: str
) -> None:
    def explode(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr(main_module.modelstat, "invoke", explode)
    outcome = run(capsys, MLP)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(message)


def test_closed_streams_are_survived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    codes = [main([MLP]), main(["no.such:model"])]
    for stream in (sys.stdout, sys.stderr):
        assert stream is not None
        stream.close()
    assert codes == [0, 2]


def command(*words: str, extra: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "torchstat_cli", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(extra or {})},
        **options,
    )


def test_interrupt_leaves_one_sentence_and_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text(
        "import sys, time\nfrom torch import nn\n\n\nclass Endless(nn.Module):\n"
        "    def forward(self, x):\n        print('running', file=sys.stderr, flush=True)\n        time.sleep(60)\n"
    )
    process = command("endless.py:Endless", "--input", "1,3", "--output", "out.csv", cwd=tmp_path)
    assert process.stderr is not None
    assert process.stderr.readline() == "running\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.strip()) == (2, "", "error: interrupted")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == ["endless.py"]


def test_termination_ends_it_by_the_signal(tmp_path: Path) -> None:
    """As it ends any program: a shell shows 143, and a service manager knows that it did what it was asked."""
    (tmp_path / "endless.py").write_text(
        "import os, time\nfrom torch import nn\n\n\nclass Endless(nn.Module):\n"
        "    def forward(self, x):\n        os.write(2, b'running\\n')\n        time.sleep(60)\n"
    )
    process = command("endless.py:Endless", "--input", "1,3", "--output", "out.csv", cwd=tmp_path)
    assert process.stderr is not None
    assert process.stderr.readline() == "running\n"
    process.terminate()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (-signal.SIGTERM, "", "")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__") == ["endless.py"]


@pytest.mark.parametrize("words", [(MLP,), ("nodes", MLP), ("ops",), ("fit", MLP, "--budget", "1GiB")])
@pytest.mark.parametrize("name", ["x" * 300, "模" * 90, "folder/" + "x" * 256, "nul\0"])
def test_name_that_no_file_can_bear(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: Any, name: str
) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    error = refused(capsys, *words, "--output", name)
    assert error.startswith("error: cannot write '")
    assert "choose another name" in error


def test_shell_completion_is_clicks_own() -> None:
    process = command(extra={"_MODELSTAT_COMPLETE": "bash_complete", "COMP_WORDS": "modelstat com", "COMP_CWORD": "1"})
    assert process.communicate(timeout=60) == ("plain,compare\n", "")
    assert process.returncode == 0


def test_reader_that_goes_away_is_no_error() -> None:
    """As ``| head`` does, here before the first word."""
    process = command("ops", "--format", "json")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 2
    assert process.stderr.read() == ""
    process.stderr.close()


# A terminal, and a file beside it


@pytest.mark.parametrize("words", [("profile", MLP), ("nodes", MLP), ("ops", "aten.*pool*")], ids=" ".join)
def test_a_file_is_written_as_for_a_pipe(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No color codes, and nothing wrapped at the width of the terminal that the command happens to run in."""
    terminal = in_narrow_terminal(monkeypatch)
    assert main([*words, "--output", str(tmp_path / "file.txt")]) == 0
    assert terminal.shown == ""
    monkeypatch.setattr(sys, "stdout", pipe := io.StringIO())
    assert main([*words]) == 0
    assert (tmp_path / "file.txt").read_text() == pipe.getvalue()


@pytest.mark.parametrize("words", [("profile", MLP), ("nodes", MLP), ("ops", "aten.linear")], ids=" ".join)
@pytest.mark.parametrize("output", [[], ["--output", "-"]], ids=["", "-"])
def test_a_terminal_gets_colors_and_lines_that_fit(
    words: tuple[str, ...], output: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = in_narrow_terminal(monkeypatch)
    assert main([*words, *output]) == 0
    plain = re.sub(r"\x1b\[[0-9;]*m", "", terminal.shown)
    table = plain.split("\n\n")[0] if words[0] == "profile" else plain  # the summary breaks no phrase
    assert plain != terminal.shown
    assert max(map(len, table.splitlines())) <= 40
