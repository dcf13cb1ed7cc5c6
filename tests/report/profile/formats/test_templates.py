"""What the style sheet does on a page of its own and inside notebooks, under both color schemes of the system."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import torchstat_cli as ms
from tests.report.cascade import Styled
from tests.report.paint import contrast, seen
from tests.report.profiles import with_unknown
from torchstat_cli.report.profile.formats import html
from torchstat_cli.report.profile.formats.html import fragment, render
from torchstat_cli.report.profile.view import View

READABLE = 4.5  # WCAG 2.2, success criterion 1.4.3

# JupyterLab's rules for tables, as its notebooks and those that nbconvert exports have them.
NOTEBOOK = """<html><head><style>
body { background: BACKGROUND; color: TEXT; }
.host table { color: TEXT; }
.host td, .host th, .host tr { vertical-align: middle; padding: 0.5em; white-space: normal; border: none; }
:not(.markdown).host td, :not(.markdown).host th, :not(.markdown).host tr { text-align: right; }
.host th { font-weight: bold; }
.host tbody tr:nth-child(even) { background: STRIPE; }
.host dt { float: left; width: 20%; }
</style></head><body><div class="host">FRAGMENT</div></body></html>"""
THEMES = {
    "light": {"BACKGROUND": "#fff", "STRIPE": "#f5f5f5", "TEXT": "rgba(0, 0, 0, 0.87)"},
    "dark": {"BACKGROUND": "#111", "STRIPE": "#212121", "TEXT": "rgba(255, 255, 255, 0.87)"},
    "gray": {"BACKGROUND": "#1e1e1e", "STRIPE": "#1e1e1e", "TEXT": "#d4d4d4"},
}


def notebook(theme: str, rule: str = "") -> str:
    """A report inside a notebook of ``theme``; ``rule`` is added to the report's own."""
    page = NOTEBOOK.replace("FRAGMENT", fragment(with_unknown()).replace("</style>", f"{rule}</style>"))
    for name, value in THEMES[theme].items():
        page = page.replace(name, value)
    return page


def unreadable(page: str) -> set[str]:
    """The texts that are hard to read under one scheme of the system or the other, with the pointer on them or not."""
    shown = [Styled(page, scheme, hover=hover) for scheme in ("light", "dark") for hover in (False, True)]
    return {text for styled in shown for text, ink, behind in seen(styled) if contrast(ink, behind) < READABLE}


@pytest.fixture(autouse=True)
def without_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "is_installed", lambda: False)


def with_picture() -> ms.Profile:
    return ms.profile(nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 2)), torch.zeros(3, 8), memory=True)


@pytest.mark.parametrize("view", [View(), View(top=1), View(by="type")])
def test_a_page_is_readable_in_both_schemes(view: View) -> None:
    assert unreadable(render(with_unknown(), view)) == set()


def test_a_page_with_a_picture_of_memory_is_readable_in_both_schemes() -> None:
    page = render(with_picture())
    assert "<svg" in page
    assert unreadable(page) == set()


def test_a_page_follows_the_system() -> None:
    behind = {scheme: next(seen(Styled(render(with_unknown()), scheme)))[2] for scheme in ("light", "dark")}
    assert behind["light"].luminance == 1
    assert behind["dark"].luminance < 0.01


@pytest.mark.parametrize("theme", THEMES)
def test_a_notebook_sets_the_colors_and_the_system_does_not(theme: str) -> None:
    page = notebook(theme)
    assert unreadable(page) == set()
    assert list(seen(Styled(page, "light"))) == list(seen(Styled(page, "dark")))


def test_a_dark_page_on_a_light_root_is_found() -> None:
    root = ":root { color-scheme: light dark; }"
    page = render(with_unknown())
    assert root in page
    lost = page.replace(root, "").replace(
        "</style>", ".modelstat { color-scheme: light dark; color: CanvasText; }</style>"
    )
    assert {"tiny", "params", "1.525 k", "Conv2d"} <= unreadable(lost)


@pytest.mark.parametrize(
    ("rule", "faint"),
    [
        (".modelstat { color-scheme: light dark; color: CanvasText; }", "aux"),
        (".modelstat { color-scheme: light dark; } .modelstat thead th { background: Canvas; }", "module"),
        (".modelstat { color-scheme: light dark; } .modelstat tbody tr:hover { background: Canvas; }", "head"),
        (".modelstat .bound { color: #c60; }", "≥0"),
        (".modelstat .nothing { opacity: .4; }", "0"),
        ("@media (prefers-color-scheme: dark) { .modelstat th { color: white; } }", "module"),
    ],
)
def test_a_rule_that_makes_text_of_a_notebook_unreadable_is_found(rule: str, faint: str) -> None:
    assert faint in set().union(*(unreadable(notebook(theme, rule)) for theme in THEMES))


def test_a_notebook_keeps_names_left_numbers_right_and_labels_whole() -> None:
    page = Styled(notebook("light"))
    styles = {element: page.style(element) for element in page.root.walk() if element.tag in ("th", "td", "dt")}
    aligned = {element.text.strip(): style.get("text-align") for element, style in styles.items()}
    assert [aligned[text] for text in ("module", "features", "Conv2d", "2x10", "total")] == ["left"] * 5
    assert [aligned[text] for text in ("MemRead", "1.525 k", "≥256", "100.0 %")] == ["right"] * 4
    assert {style.get("width") for element, style in styles.items() if element.tag == "dt"} == {"auto"}


def test_a_notebook_indents_the_tree() -> None:
    page = Styled(notebook("light"))
    names = {
        "".join(inner.text for inner in element.walk()): page.style(element)
        for element in page.root.walk()
        if element.attributes.get("scope") == "row"
    }
    depths = {name: style["--depth"] for name, style in names.items()}
    assert depths == {"(root)": "0", "(direct)": "1", "features": "1", "0": "2", "1": "2", "head": "1", "aux": "1"}
    assert {style["padding-left"] for style in names.values()} == {"calc(1.6rem + 1.1rem * var(--depth, 0))"}
    assert {style["text-align"] for style in names.values()} == {"left"}
