"""The examples of docs/inputs.md that need a model library; the others are run by test_pages.py."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.docs.test_pages import ROOT, generate
from tests.libraries import import_timm
from torchstat_cli.cli.main import main

PAGE = (ROOT / "docs" / "inputs.md").read_text()
EXAMPLES = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


def test_the_examples_were_found() -> None:
    assert len(EXAMPLES) >= 5


@pytest.mark.libraries
@pytest.mark.parametrize("line", EXAMPLES)
def test_examples_with_libraries_run(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import_timm()
    if "hf/" in line:
        pytest.importorskip("transformers")
    for block in generate.BLOCK.finditer(PAGE):
        if block["file"]:
            (tmp_path / block["file"]).write_text(block["body"])
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(line)[1:]) == 0
    assert "\ntotal " in capsys.readouterr().out
