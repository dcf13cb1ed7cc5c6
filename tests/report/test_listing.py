from __future__ import annotations

import csv
import io
import json

import pytest

from tests.report.display import WIDE_NAMES, display_width, twin
from torchstat_cli.report.listing import render_listing
from torchstat_cli.report.terminal import Terminal

HEADINGS = ("name", "type", "shape")
ROWS = [("layer1.0.conv1", "Conv2d", "1x64x56x56"), ("head", "Linear", "1x10")]
WIDE_ROWS = [(name, "Conv2d", "1x64x56x56") for name in WIDE_NAMES]
TWIN_ROWS = [tuple(map(twin, row)) for row in WIDE_ROWS]

OPEN = """
 name             type     shape
 ────────────────────────────────────
 layer1.0.conv1   Conv2d   1x64x56x56
 head             Linear   1x10

"""
BOXED = """\
+---------------+--------+-----------+
|name           | type   | shape     |
+---------------+--------+-----------+
|layer1.0.conv1 | Conv2d | 1x64x56x56|
|head           | Linear | 1x10      |
+---------------+--------+-----------+
"""
# As rich's tables: 24 cells less 8 around the texts leave 16, 6 for each name and shape, 4 for each type.
NARROW = """
 name     type   shape
 ──────────────────────
 layer1   Conv   1x64x5
 .0.con   2d     6x56
 v1
 head     Line   1x10
          ar

"""


def table(rows: list[tuple[str, ...]], terminal: Terminal | None = None) -> str:
    return render_listing(HEADINGS, rows, "table", terminal or Terminal())


@pytest.mark.parametrize(
    ("terminal", "look"),
    [
        (Terminal(), OPEN),
        (Terminal(width=38), OPEN),
        (Terminal(ascii=True), BOXED),
        (Terminal(width=38, ascii=True), BOXED),
        (Terminal(width=24), NARROW),
    ],
)
def test_looks(terminal: Terminal, look: str) -> None:
    assert table(ROWS, terminal) == look


def test_headings_stand_on_their_line() -> None:
    narrow = render_listing(("input shape", "type"), [("1x2", "A"), ("3x4", "B")], "table", Terminal(width=12))
    assert narrow.splitlines()[1:6] == [" inpu", " t", " shap   typ", " e      e", " ──────────"]


def test_color_is_for_the_heading_alone() -> None:
    heading, *others = table(ROWS, Terminal(color=True)).splitlines()[1:]
    assert heading == "\x1b[1m name             type     shape\x1b[0m"
    assert others == OPEN.splitlines()[2:]


@pytest.mark.parametrize("width", [None, 80])
def test_wide_names_keep_columns_aligned(width: int | None) -> None:
    assert twin(table(WIDE_ROWS, Terminal(width=width))) == table(TWIN_ROWS, Terminal(width=width))


def test_folded_wide_names_keep_columns_aligned() -> None:
    """A wide character has no half, so that lines may break elsewhere than those of its twin."""
    _, heading, _, *lines = table(WIDE_ROWS, Terminal(width=30)).splitlines()
    starts = {display_width(line[: line.index("Conv2d")]) for line in lines if "Conv2d" in line}
    assert starts == {heading.index("type")}


@pytest.mark.parametrize("width", range(16, 60))
def test_wide_names_stay_within_the_terminal(width: int) -> None:
    assert max(map(display_width, table(WIDE_ROWS, Terminal(width=width)).splitlines())) <= width


@pytest.mark.parametrize("is_ascii", [False, True])
def test_a_pipe_gets_each_row_in_one_line(is_ascii: bool) -> None:
    """So that grep finds whole rows, and a name can be copied."""
    name = "module." * 60 + "end"
    lines = table([(name, "Linear", "1x10")], Terminal(ascii=is_ascii)).splitlines()
    assert [name in line and "Linear" in line and "1x10" in line for line in lines].count(True) == 1


def test_what_the_terminal_lacks_is_escaped_before_it_is_aligned() -> None:
    assert "|\\u6a21\\u5757       " in table(WIDE_ROWS, Terminal(ascii=True))
    assert len({len(line) for line in table(WIDE_ROWS, Terminal(ascii=True)).splitlines()}) == 1


def test_a_name_moves_no_cursor() -> None:
    assert " a\\x1b[2J\\nb   Linear   1x10\n" in table([("a\x1b[2J\nb", "Linear", "1x10")])


def test_data_formats_keep_every_character() -> None:
    name = "模\n块"
    rows = list(csv.reader(io.StringIO(render_listing(HEADINGS, [(name, "A", "1")], "csv", Terminal(width=10)))))
    assert rows == [list(HEADINGS), [name, "A", "1"]]
    (node,) = json.loads(render_listing(HEADINGS, [(name, "A", "1")], "json", Terminal(width=10)))
    assert node == {"name": name, "type": "A", "shape": "1"}
