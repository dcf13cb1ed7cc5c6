from __future__ import annotations

from io import BytesIO, TextIOWrapper

import pytest

from torchstat_cli.report.terminal import Terminal, to_ascii


class Stream(TextIOWrapper):
    """A stream of any encoding that may claim to be a terminal."""

    def __init__(self, encoding: str, interactive: bool) -> None:
        super().__init__(BytesIO(), encoding=encoding)
        self.interactive = interactive

    def isatty(self) -> bool:
        return self.interactive


def test_a_pipe_has_no_width_and_no_colour() -> None:
    assert Terminal.detect(Stream("utf-8", False), {}) == Terminal(width=None, ascii=False, color=False)


def test_a_terminal_has_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "77")
    assert Terminal.detect(Stream("utf-8", True), {}) == Terminal(width=77, ascii=False, color=True)


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colour_can_be_refused(environ: dict[str, str]) -> None:
    assert not Terminal.detect(Stream("utf-8", True), environ).color


def test_an_empty_no_color_refuses_nothing() -> None:
    assert Terminal.detect(Stream("utf-8", True), {"NO_COLOR": ""}).color


def test_the_command_line_can_refuse_colour() -> None:
    assert not Terminal.detect(Stream("utf-8", True), {}, color=False).color


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_encodings_without_our_signs_get_ascii(encoding: str) -> None:
    assert Terminal.detect(Stream(encoding, False), {}).ascii


def test_a_dumb_terminal_gets_ascii() -> None:
    assert Terminal.detect(Stream("utf-8", True), {"TERM": "dumb"}).ascii


def test_ascii_spells_our_signs_and_escapes_the_rest() -> None:
    assert to_ascii("≥1 × 2 … → ─") == ">=1 x 2 ... -> -"
    assert to_ascii("模") == "\\u6a21"
