from __future__ import annotations

import subprocess
import sys

import pytest

from tests.report.profiles import TINY
from torchstat_cli.errors import UsageError
from torchstat_cli.report import FORMATS, render
from torchstat_cli.report.terminal import Terminal

HEAVY = ("torch", "pandas", "rich")


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_ends_in_one_line_break(format: str) -> None:
    text = render(TINY, format)
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_the_terminal_reaches_the_table() -> None:
    assert max(map(len, render(TINY, terminal=Terminal(width=50)).splitlines())) <= 50


def test_unknown_format() -> None:
    with pytest.raises(UsageError, match="no format named 'xml'"):
        render(TINY, "xml")


@pytest.mark.parametrize(("format", "unwanted"), [(name, HEAVY if name != "svg" else HEAVY[:2]) for name in FORMATS])
def test_no_format_loads_what_it_does_not_need(format: str, unwanted: tuple[str, ...]) -> None:
    code = (
        "import sys; from tests.report.profiles import TINY; from torchstat_cli.report import render; "
        f"render(TINY, {format!r}); print([name for name in {unwanted!r} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert run.stdout == "[]\n"
