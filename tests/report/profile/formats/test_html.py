from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.report.profiles import PROVENANCE, TINY, module, renamed, timed, with_unknown
from torchstat_cli.report.profile.formats.html import fragment, render
from torchstat_cli.report.profile.view import View

VOID = {"meta"}


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
    assert "&quot;&gt;&lt;script&gt;" in text
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
    static = re.sub('<p class="controls" hidden>.*?</p>', "", text[: text.index("<script")])
    buttons = re.findall("<button[^>]*>", static)
    assert len(buttons) == 12 + 2  # headings, the root and features
    assert all("disabled" in button or "hidden" in button for button in buttons)


# A page as small as the script's needs: rows of cells that can be clicked, hidden and moved.
DOCUMENT = """
const element = (dataset, cells, classes = []) => ({
  dataset, cells, hidden: false, attributes: {}, listeners: [], textContent: "",
  classList: { contains: (name) => classes.includes(name) },
  addEventListener(_, listener) { this.listeners.push(listener); },
  click() { this.listeners.forEach((listener) => listener()); },
  setAttribute(name, value) { this.attributes[name] = value; },
  getAttribute(name) { return this.attributes[name] ?? null; },
  removeAttribute(name) { delete this.attributes[name]; },
});
const row = (depth, name, value, fold) => {
  const made = element({ depth }, [{ dataset: {}, textContent: name }, { dataset: { value } }]);
  made.name = name; made.fold = fold ? { ...element({}), hidden: true } : null;
  made.querySelector = () => made.fold; return made;
};
const heading = (...classes) => {
  const made = element({}, [], classes), button = { ...element({}), disabled: true };
  made.querySelector = () => button; made.click = () => button.click(); return made;
};
const rows = [row(0, "root", 6, 1), row(1, "b", 1), row(1, "a", 5, 1), row(2, "x", 2), row(2, "y", 3)];
let order = rows.slice();
const body = { rows, append(moved) { order = order.filter((item) => item !== moved).concat([moved]); } };
const heads = [heading(), heading("number")];
const buttons = [element({ fold: "true" }), element({ fold: "false" })];
const controls = { hidden: true, querySelectorAll: () => buttons };
const made = { tBodies: [body], dataset: { open: "9" }, tHead: { rows: [{ cells: heads }] } };
const found = { ".modelstat table": made, ".modelstat .controls": controls, ".modelstat .fold": rows[0].fold };
const document = { querySelector: (path) => found[path] };
const shown = [];
const note = () => shown.push(order.filter((item) => !item.hidden).map((item) => item.name).join(" "));
"""
CLICKS = """
note(); heads[1].click(); note(); heads[1].click(); note(); heads[0].click(); note();
rows[2].fold.click(); note(); buttons[0].click(); note(); buttons[1].click(); note();
shown.push(rows.filter((item) => item.fold).map((item) => item.fold.hidden));
shown.push(heads.map((item) => item.querySelector().disabled));
console.log(JSON.stringify(shown));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node to run the page's script")
def test_the_script_sorts_siblings_and_folds(tmp_path: Path) -> None:
    script = re.search(r'<script>\n"use strict";\n(.*)</script>', render(TINY), re.DOTALL)
    assert script is not None
    program = tmp_path / "page.js"
    program.write_text(f"{DOCUMENT}{{\n{script[1]}}}\n{CLICKS}", encoding="utf-8")
    run = subprocess.run(["node", str(program)], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(run.stdout) == [
        "root b a x y",
        "root a y x b",  # largest first, within each container
        "root b a x y",  # smallest first
        "root a x y b",  # by name
        "root a b",  # a folded
        "root a b",  # all folded but the root
        "root a x y b",  # all open
        [False, False],  # hidden: the buttons that fold
        [False, False],  # disabled: the headings
    ]
