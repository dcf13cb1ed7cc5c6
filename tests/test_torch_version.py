"""A torch that is missing or too old is refused in one sentence, before anything of it is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from torchstat_cli import torch_version
from torchstat_cli.errors import UnsupportedTorchError
from torchstat_cli.torch_version import OLDEST, require_torch

ROOT = Path(__file__).parents[1]
PYTHON = """
import torchstat_cli
try:
    torchstat_cli.profile
except torchstat_cli.ModelstatError as error:
    print(error)
"""
NO_TORCH = """
import sys
from importlib.machinery import PathFinder
found = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name == "torch" else found(name, *rest)
"""
OLD_TORCH = "import sys; sys.path.insert(0, {folder!r})\n"


def said(before: str, code: str) -> tuple[int, str]:
    done = subprocess.run([sys.executable, "-c", before + code], capture_output=True, text=True, check=False, cwd=ROOT)
    return done.returncode, done.stdout + done.stderr


def command(name: str) -> str:
    return f"from torchstat_cli.cli.main import main; raise SystemExit(main({[name]!r}))"


def test_no_torch_is_one_sentence() -> None:
    code, text = said(NO_TORCH, command("resnet18"))
    assert (code, text) == (2, f"error: torch is not installed\n  pip install 'torch>={OLDEST}'\n")
    assert said(NO_TORCH, PYTHON) == (0, f"torch is not installed\n  pip install 'torch>={OLDEST}'\n")
    assert said(NO_TORCH, command("--version"))[0] == 0


def test_an_old_torch_is_one_sentence_and_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise SystemExit('imported')")
    (tmp_path / "torch" / "version.py").write_text("__version__ = '2.6.0+cu124'\n")
    before = OLD_TORCH.format(folder=str(tmp_path))
    sentence = f"torch 2.6.0 is too old: modelstat needs torch {OLDEST} or newer\n  pip install 'torch>={OLDEST}'\n"
    assert said(before, command("resnet18")) == (2, f"error: {sentence}")
    assert said(before, PYTHON) == (0, sentence)


@pytest.mark.parametrize(
    ("version", "good"),
    [("2.8.0", False), ("1.13.1", False), ("2.9.0", True), ("2.10.0a0+git1", True), ("3.0", True), ("unknown", True)],
)
def test_the_floor(version: str, good: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_version, "_installed", lambda: version)
    if good:
        require_torch()
    else:
        with pytest.raises(UnsupportedTorchError, match="is too old"):
            require_torch()


def test_the_floor_is_that_of_the_package() -> None:
    assert f'"torch>={OLDEST}"' in (ROOT / "pyproject.toml").read_text()
    assert torch.__version__.startswith(torch_version._installed() or "none")
