from __future__ import annotations

from xml.etree import ElementTree

from tests.report.profiles import TINY, renamed, with_unknown
from torchstat_cli.report.profile.formats.svg import render
from torchstat_cli.report.profile.view import View


def text_of(picture: str) -> str:
    return "".join(ElementTree.fromstring(picture).itertext()).replace("\N{NO-BREAK SPACE}", " ")


def test_it_shows_what_the_terminal_shows() -> None:
    text = text_of(render(with_unknown()))
    assert all(word in text for word in ("features.0", "Conv2d", "14.08 k", "no formula for mylib.op"))
    assert "├─ " in text_of(render(TINY, View(tree=True)))


def test_it_asks_nothing_of_the_network() -> None:
    picture = render(TINY).replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "http" not in picture
    assert "@font-face" not in picture


def test_names_stay_text() -> None:
    picture = render(renamed("</text><script>alert(1)</script>\x00\x1b[31m"))
    assert "<script" not in picture
    assert "alert(1)" in text_of(picture)
