from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.report.profiles import PROVENANCE, TINY, module, renamed, timed, with_unknown
from torchstat_cli.report.profile.formats import html
from torchstat_cli.report.profile.formats.html import fragment, render
from torchstat_cli.report.profile.view import View

VOID = {"meta", "input"}


@pytest.fixture(autouse=True)
def without_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages of these tests are the same whether the chart library is installed or not."""
    monkeypatch.setattr(html, "is_installed", lambda: False)


class Page(HTMLParser):
    """The rows of cells of every table section, with a check that every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[dict[str, str]]] = []
        self.depths: list[int] = []
        self.tags: list[str] = []
        self.feed(text)
        self.close()
        assert self.tags == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.tags.append(tag)
        values = {name: value or "" for name, value in attrs}
        if tag == "tr":
            self.rows.append([])
            self.depths.append(int(values.get("data-depth", -1)))
        if tag in ("td", "th"):
            self.rows[-1].append({**values, "text": ""})

    def handle_endtag(self, tag: str) -> None:
        assert self.tags.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.rows and {"td", "th"} & set(self.tags):
            self.rows[-1][-1]["text"] += data


def column(page: Page, heading: str, rows: list[list[dict[str, str]]]) -> list[int]:
    index = [cell["text"] for cell in page.rows[0]].index(heading)
    return [int(row[index]["data-value"]) for row in rows]


def test_golden(golden: Callable[[str, str], None]) -> None:
    golden("report/tiny.html", render(with_unknown()))


@pytest.mark.parametrize(
    ("heading", "total"), [("params", 1525), ("FLOPs", 19732), ("MemR+W", 12668), ("memory", 3152)]
)
def test_each_level_of_the_tree_adds_up(heading: str, total: int) -> None:
    page = Page(render(TINY))
    body = list(zip(page.depths[1:-1], page.rows[1:-1], strict=True))
    assert column(page, heading, [page.rows[-1]]) == [total]
    assert column(page, heading, [row for depth, row in body if depth == 0]) == [total]
    assert sum(column(page, heading, [row for depth, row in body if depth == 1])) == total


@pytest.mark.parametrize(
    "view", [View(top=2), View(sort="flops"), View(filter="head"), View(by="type"), View(by="operator")]
)
def test_a_flat_table_adds_up(view: View) -> None:
    page = Page(render(TINY, view))
    assert set(page.depths[1:-1]) == {0}
    assert sum(column(page, "FLOPs", page.rows[1:-1])) == 19732


def test_the_depth_says_how_far_the_tree_is_open_and_loses_no_row() -> None:
    assert 'data-open="1"' in render(TINY, View(depth=1))
    assert len(Page(render(TINY, View(depth=1))).rows) == len(Page(render(TINY)).rows)


def test_large_trees_are_folded_at_first() -> None:
    rows = tuple(module(f"a.b.{index}", "Linear", params=index) for index in range(100))
    assert 'data-open="2"' in render(replace(TINY, rows=rows))


def test_names_are_no_markup() -> None:
    evil = '"><script>alert(1)</script>$title'
    text = render(replace(renamed(evil), provenance=replace(PROVENANCE, spec=evil)))
    assert text.count("<script") == 1
    assert "alert(1)</script>" not in text
    assert "&#34;&gt;&lt;script&gt;" in text
    Page(text)


def test_the_page_needs_no_network() -> None:
    text = render(timed())
    assert not re.search(r"https?:|//[a-z]|src=|href=|@import|url\(", text.replace("// ", ""))
    assert "default-src 'none'" in text


def test_columns_without_names_make_a_flat_table() -> None:
    page = Page(render(TINY, View(columns=("flops", "params"))))
    assert column(page, "FLOPs", page.rows[1:-1]) == [14080, 256, 256, 5140, 0]


def test_a_notebook_gets_the_table_without_a_script() -> None:
    text = fragment(TINY)
    assert text.startswith('<div class="modelstat">')
    assert "<script" not in text
    assert "<button" not in text
    assert [cell["text"] for cell in Page(text).rows[0]][:2] == ["module", "type"]
    assert len(Page(text).rows) == 9  # heading, root, direct, features with two, head, aux, totals


def test_no_button_of_a_page_works_before_its_script_does() -> None:
    text = render(TINY)
    static = re.sub('<p class="controls tools" hidden>.*?</p>', "", text[: text.index("<script")], flags=re.DOTALL)
    buttons = re.findall("<button[^>]*>", static)
    assert len(buttons) == 12 + 2  # headings, the root and features
    assert all("disabled" in button or "hidden" in button for button in buttons)
