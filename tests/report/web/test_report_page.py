"""The page of a report in a real browser: nothing is asked for, nothing complains, everything works and can be read."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import torchstat_cli as ms
from tests.browser import UNREADABLE, Browser, Page, chromium, needs_browser
from tests.report.profiles import PROVENANCE, TINY, module, renamed
from torchstat_cli.records import SUMMED, Profile
from torchstat_cli.report import render
from torchstat_cli.report.profile.formats import html
from torchstat_cli.report.profile.view import View
from torchstat_cli.report.web.plotly import is_installed

pytestmark = needs_browser
needs_charts = pytest.mark.skipif(not is_installed(), reason="needs plotly for charts")
WIDTHS, SCHEMES = (400, 900, 1500), ("light", "dark")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def trained() -> Profile:
    block = [nn.Linear(16, 16), nn.LayerNorm(16), nn.GELU()]
    model = nn.Sequential(nn.Linear(8, 16), nn.Sequential(*(nn.Sequential(*block) for _ in range(6))), nn.Linear(16, 4))
    return ms.profile(model, torch.zeros(4, 8), train=True, memory=True, optimizer="adamw")


def write(tmp_path: Path, profile: Profile, view: View | None = None) -> Path:
    path = tmp_path / "page.html"
    path.write_text(render(profile, "html", view), encoding="utf-8")
    return path


def drawn(page: Page) -> Page:
    if page.js("!!document.getElementById('library')"):
        page.wait("document.documentElement.dataset.drawn === 'true'")
    return page


def names(page: Page) -> list[str]:
    """The rows that can be seen, by their first cell."""
    found: list[str] = page.js(
        "[...document.querySelectorAll('tbody tr')].filter(r => r.offsetParent).map(r => r.cells[0].textContent)"
    )
    return found


@pytest.mark.parametrize("charted", [False, pytest.param(True, marks=needs_charts)])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_page_is_quiet_readable_and_as_wide_as_its_window(
    browser: Browser,
    tmp_path: Path,
    trained: Profile,
    monkeypatch: pytest.MonkeyPatch,
    charted: bool,
    width: int,
    scheme: str,
) -> None:
    if not charted:
        monkeypatch.setattr(html, "is_installed", lambda: False)
    page = drawn(browser.open(write(tmp_path, trained), width, scheme))
    assert (page.requests, page.complaints, page.js(UNREADABLE)) == ([], [], [])
    assert page.js("document.documentElement.scrollWidth") <= width
    background = page.js("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") is (scheme == "light")


def test_search_shows_matches_within_their_modules(browser: Browser, tmp_path: Path) -> None:
    page = browser.open(write(tmp_path, TINY))
    assert names(page) == ["(root)", "(direct)", "features", "0", "1", "head", "aux"]
    page.js("search.value = 'relu'; search.dispatchEvent(new Event('input'))")
    assert names(page) == ["(root)", "features", "1"]
    assert page.js("document.getElementById('status').textContent") == "1 of 7 rows match"
    page.js("search.value = 'FEATURES conv'; search.dispatchEvent(new Event('input'))")
    assert names(page) == ["(root)", "features", "0"]
    page.js("search.value = ''; search.dispatchEvent(new Event('input'))")
    assert len(names(page)) == 7
    assert page.complaints == []


def test_a_heading_sorts_siblings_and_keeps_contents(browser: Browser, tmp_path: Path) -> None:
    page = browser.open(write(tmp_path, TINY))
    click = "[...document.querySelectorAll('thead button')].find(b => b.textContent === 'FLOPs').click()"
    page.js(click)
    assert names(page) == ["(root)", "features", "0", "1", "head", "(direct)", "aux"]
    page.js(click)
    assert names(page) == ["(root)", "aux", "(direct)", "head", "features", "1", "0"]
    assert page.js("document.querySelector('[aria-sort]').getAttribute('aria-sort')") == "ascending"


def test_containers_fold_and_a_large_tree_opens_folded(browser: Browser, tmp_path: Path) -> None:
    page = browser.open(write(tmp_path, TINY))
    page.js("document.querySelectorAll('.fold')[1].click()")
    assert names(page) == ["(root)", "(direct)", "features", "head", "aux"]
    page.js("document.querySelector('[data-fold=false]').click()")
    assert len(names(page)) == 7
    page.js("document.querySelector('[data-fold=true]').click()")
    assert names(page) == ["(root)", "(direct)", "features", "head", "aux"]
    rows = tuple(module(f"a.b{index % 9}.c{index}.d", "Linear", params=index) for index in range(900))
    page = browser.open(write(tmp_path, replace(TINY, rows=rows)))
    assert len(names(page)) == 2 + 9


def test_every_number_is_that_of_the_json(browser: Browser, tmp_path: Path, trained: Profile) -> None:
    view = View(unfold=True, columns=("path", "params", "madds", "flops", "mem_read", "mem_write", "memory"))
    page = browser.open(write(tmp_path, trained, view))
    rows = list(csv.reader(io.StringIO(page.js("csv()"))))
    report = json.loads(render(trained, "json"))
    shown = {row[0]: [int(value) for value in row[1:]] for row in rows[1:]}
    columns = ("params", "madds", "flops", "mem_read", "mem_write", "memory")
    leaves = [row for row in report["rows"] if row["kind"] == "leaf"]
    assert {row["path"]: [row[name] for name in columns] for row in leaves}.items() <= shown.items()
    assert shown["(root)"] == [report["totals"][name] for name in columns]


EVIL = "\"><img src=x onerror=alert(1)><script>alert(2)</script><a href='javascript:alert(3)'>{{ 7 * 7 }}</a>"


@pytest.mark.parametrize("charted", [False, pytest.param(True, marks=needs_charts)])
def test_hostile_names_stay_text(
    browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, charted: bool
) -> None:
    if not charted:
        monkeypatch.setattr(html, "is_installed", lambda: False)
    name = EVIL.replace(".", "")
    profile = replace(renamed(name), provenance=replace(PROVENANCE, spec=EVIL))
    rows = tuple(row._replace(type=EVIL) for row in profile.rows)
    page = drawn(browser.open(write(tmp_path, replace(profile, rows=rows))))
    assert (page.requests, page.complaints) == ([], [])
    assert page.js("document.querySelectorAll('img, main a[href], svg a').length") == 0
    assert page.js("document.querySelector('h1').textContent") == EVIL


@needs_charts
def test_charts_zoom_switch_and_say_what_they_show(browser: Browser, tmp_path: Path, trained: Profile) -> None:
    page = drawn(browser.open(write(tmp_path, trained)))
    page.js("metric.value = 'params'; metric.dispatchEvent(new Event('change'))")
    page.js("kind.value = 'treemap'; kind.dispatchEvent(new Event('change'))")
    page.wait("document.getElementById('tree').data[0].type === 'treemap'")
    assert page.js("document.getElementById('tree').data[0].values[0]") == trained.total.params
    slice_of = (
        "[...document.querySelectorAll('#tree g.slice')].find(s => s.textContent.startsWith('1')).querySelector('path')"
    )
    page.js(f"{slice_of}.dispatchEvent(new MouseEvent('click', {{ bubbles: true }}))")
    page.wait("(document.getElementById('tree')._fullData[0].level ?? '').startsWith('1')")
    assert page.js("Plotly.restyle('memory', { visible: 'legendonly' }, [0]).then(() => 'switched')") == "switched"
    assert page.js("document.querySelectorAll('#memory .legendtoggle').length") >= 3
    assert "operators of the run" in page.js("document.getElementById('memory').textContent")
    assert {"forward 1", "backward 2"} <= set(
        page.js("document.getElementById('memory').layout.annotations.map(a => a.text)")
    )
    assert "cloud" not in page.js("document.body.innerHTML.replace(/<script.*?<\\/script>/gs, '')").lower()
    assert page.complaints == []


def test_a_model_of_10_000_rows_opens_and_searches_at_once(browser: Browser, tmp_path: Path) -> None:
    kinds = ("Linear", "LayerNorm", "GELU")
    rows = tuple(
        module(f"blocks.{index // 3}.{index % 3}", kinds[index % 3], params=index, flops=index, madds=index)
        for index in range(10_000)
    )
    sums = {column: sum(getattr(row, column) for row in rows) for column in SUMMED}
    path = write(tmp_path, replace(TINY, rows=rows, total=replace(TINY.total, **sums)))
    assert path.stat().st_size < 25e6
    started = time.monotonic()
    page = browser.open(path)
    assert time.monotonic() - started < 30  # 3 s on a machine of its own, and this one may be busy
    assert len(names(page)) < 3400
    took = page.js(
        "(() => { const t = performance.now(); search.value = 'blocks.77'; search.dispatchEvent(new Event('input'));"
        " document.body.offsetHeight; return performance.now() - t; })()"
    )
    assert took < 2000  # 200 ms on a machine of its own, and this one may be busy
    page.js("search.value = 'linear'; search.dispatchEvent(new Event('input'))")
    assert len(names(page)) <= 1002
    assert "the first 500 are shown" in page.js("document.getElementById('status').textContent")
