"""A bare name means the same to every command: a sample model is announced, and refused beside a file of its name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import torchstat_cli as ms
from tests.cli.running import measured_here, run
from tests.gate.project import Project
from torchstat_cli.errors import ModelstatError, SpecError
from torchstat_cli.loading import providers

UNET = """
from torch import nn
class Conv(nn.Module): ...
class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = Conv()
"""
CEILINGS = ("--limit", "flops=1 G", "--limit", "params=1 G")
NOTICE = "note: mlp is a sample model of modelstat, not a library's; sample_models/mlp names it without this notice\n"
REFUSAL = "unet may mean unet.py here or a sample model of modelstat\n"
REMEDY = "  for yours write unet.py:UNet (also Conv); for the sample model sample_models/unet\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, without a model library."""
    monkeypatch.setattr(providers, "PROVIDERS", (providers.SAMPLES,))
    monkeypatch.setattr("torchstat_cli.tasks.check.measure_entries", measured_here)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ("unet",),
        ("profile", "unet", "--format", "json"),
        ("nodes", "unet"),
        ("fit", "unet", "--budget", "1GiB"),
        ("unet", "--generate", "8,4"),
        ("compare", "sample_models/unet", "unet"),
        ("check", "unet", *CEILINGS),
        ("unet", "--quiet"),
    ],
)
def test_every_command_refuses_a_sample_model_beside_a_file(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    (folder / "unet.py").write_text(UNET)
    outcome = run(capsys, *words)
    assert outcome.code == 2
    assert outcome.err.startswith("error: ")
    assert outcome.err.endswith(REFUSAL + REMEDY)
    assert "note: " not in outcome.err


@pytest.mark.parametrize(
    "words",
    [
        ("mlp", "--format", "json"),
        ("nodes", "mlp", "--format", "json"),
        ("fit", "mlp", "--budget", "1GiB", "--limit", "1", "--format", "json"),
        ("compare", "mlp", "mlp", "--format", "json"),
        ("compare", "mlp", "sample_models/mlp", "--format", "json"),
        ("check", "mlp", *CEILINGS, "--format", "json"),
        # What fails has its notice as well: it says whose model it was.
        ("mlp", "--input", "1,3"),
        ("mlp", "--arg", "n_channels=3"),
        ("mlp", "--generate", "8,4"),
        ("nodes", "mlp", "--input", "1,3"),
        ("fit", "mlp", "--budget", "1GiB", "--vary", "7"),
        ("compare", "mlp", "sample_models/unet", "--input", "1,3"),
        ("check", "mlp", *CEILINGS, "--input", "1,3"),
    ],
)
def test_every_command_says_that_it_takes_a_sample_model(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    loud, quiet = run(capsys, *words), run(capsys, *words, "--quiet")
    assert loud.err.count(NOTICE) == 1
    assert "note: " not in quiet.err
    assert (loud.code, loud.out) == (quiet.code, quiet.out)
    assert "".join(line for line in loud.err.splitlines(keepends=True) if not line.startswith("note: ")) == quiet.err
    if "json" in words:
        assert loud.code == 0
        json.loads(loud.out)


def test_the_notice_is_part_of_a_verdict(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(run(capsys, "check", "mlp", *CEILINGS, "--format", "json").out)
    assert [f"note: {text}\n" for text in document["notices"]] == [NOTICE]
    page = run(capsys, "check", "mlp", *CEILINGS, "--format", "markdown").out
    assert f"- {NOTICE.removeprefix('note: ')}" in page


def test_a_library_that_cannot_be_imported_is_named_once(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "broken_vision.py").write_text("raise RuntimeError('no GPU here')\n")
    monkeypatch.syspath_prepend(folder)
    broken = replace(providers.SAMPLES, prefix="torchvision", package="broken_vision")
    monkeypatch.setattr(providers, "PROVIDERS", (broken, *providers.PROVIDERS))
    cause = "note: torchvision is installed but cannot be imported: no GPU here"
    for words in (("check", "mlp", "two_inputs", *CEILINGS), ("compare", "mlp", "two_inputs"), ("nodes", "mlp")):
        assert run(capsys, *words).err.count(cause) == 1
    (folder / "unet.py").write_text(UNET)
    error = run(capsys, "unet").err
    assert error.startswith(cause)
    assert error.endswith(REFUSAL + REMEDY)


CONFIG = '[models.segmenter]\nspec = "unet"\ninput = "1,3,64,64"\nlimits = { params = "1 G", flops = "1 T" }\n'


def test_the_gate_looks_where_its_configuration_lies(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "modelstat.toml").write_text(CONFIG)
    below = folder / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    (below / "unet.py").write_text(UNET)
    assert run(capsys, "check").code == 0
    (below / "unet.py").rename(folder / "unet.py")
    outcome = run(capsys, "check")
    assert outcome.code == 2
    assert outcome.err == f"error: segmenter: {REFUSAL}{REMEDY}"


def test_the_gate_in_worker_processes(tmp_path: Path) -> None:
    """No library knows a model called mlp or unet, whichever is installed here."""
    project = Project(tmp_path / "project")
    (project.root / "unet.py").write_text(UNET)
    (project.root / "modelstat.toml").write_text("")  # nothing configured: names of the command line may be bare
    outcome = project.modelstat("check", "mlp", "unet", *CEILINGS, "--format", "json")
    assert outcome.code == 2
    assert outcome.err.count(NOTICE) == 1
    assert outcome.err.endswith(f"error: unet: {REFUSAL}{REMEDY}")
    assert {check["model"] for check in json.loads(outcome.out)["checks"]} == {"mlp"}


def test_python_callers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ms.profile("mlp").total.params == 269_322
    assert capsys.readouterr() == ("", "")
    (folder / "unet.py").write_text(UNET)
    for call in (ms.profile, ms.load_model):
        with pytest.raises(SpecError) as caught:
            call("unet")
        assert f"{caught.value}\n" == REFUSAL + REMEDY
    with pytest.raises(ModelstatError) as failed:
        ms.profile("mlp", input_shape=(1, 3))
    assert [f"note: {text}\n" for text in failed.value.notices] == [NOTICE]
