"""docs/commands.md shows the help of every command, and that names every option; test_pages.py holds it up to date."""

from __future__ import annotations

from importlib import import_module

import click
import pytest

from tests.docs.test_pages import ROOT
from torchstat_cli.cli.main import COMMANDS
from torchstat_cli.report.profile.columns import COLUMNS

PAGE = (ROOT / "docs" / "commands.md").read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_section(name: str) -> None:
    assert f"\n## {name}\n" in PAGE
    assert f"\n$ modelstat {name} --help\n" in PAGE


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_words(name: str) -> None:
    command: click.Command = import_module(f"torchstat_cli.cli.{name}").command
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.opts
            assert parameter.opts[0] in PAGE


@pytest.mark.parametrize("name", COLUMNS)
def test_every_column_is_named(name: str) -> None:
    assert f"`{name}`" in PAGE
