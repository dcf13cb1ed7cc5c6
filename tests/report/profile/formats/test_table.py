from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.report.display import WIDE_NAMES, display_width, twin
from tests.report.profiles import TINY, module, renamed, tied, timed, with_unknown
from torchstat_cli.records import Profile
from torchstat_cli.report.profile.formats.table import render
from torchstat_cli.report.profile.row_sums import sum_rows
from torchstat_cli.report.profile.view import View
from torchstat_cli.report.terminal import Terminal

ANSI = re.compile(r"\x1b\[[0-9;]*m")
LOOKS = {
    "wide": (TINY, View(), Terminal()),
    "raw": (TINY, View(units="raw"), Terminal()),
    "120": (with_unknown(), View(), Terminal(width=120)),
    "80": (timed(), View(), Terminal(width=80)),
    "60": (with_unknown(), View(), Terminal(width=60)),
    "40": (TINY, View(), Terminal(width=40)),
    "ascii": (with_unknown(), View(top=2), Terminal(width=80, ascii=True)),
    "tied": (tied(), View(), Terminal()),
    "depth": (TINY, View(depth=1, sort="flops", top=2), Terminal(width=100)),
    "type": (TINY, View(by="type"), Terminal(width=100)),
    "operator": (with_unknown(), View(by="operator"), Terminal(width=100)),
}


def table(text: str) -> list[str]:
    """The lines above the summary."""
    return text.split("\n\n")[0].splitlines()


def cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line.strip())


@pytest.mark.parametrize("look", LOOKS)
def test_looks(look: str, golden: Callable[[str, str], None]) -> None:
    golden(f"report/table_{look}.txt", render(*LOOKS[look]))


@pytest.mark.parametrize("look", LOOKS)
def test_nothing_is_wider_than_the_terminal(look: str) -> None:
    profile, view, terminal = LOOKS[look]
    if terminal.width is not None:
        assert max(map(len, render(profile, view, terminal).splitlines())) <= terminal.width


@pytest.mark.parametrize("view", [View(), View(depth=1), View(top=1), View(filter="head"), View(by="type")])
def test_raw_columns_sum_to_the_totals(view: View) -> None:
    columns = ("params", "madds", "flops", "mem_read", "mem_write", "memory", "mem_total")
    shown = render(TINY, replace(view, units="raw", columns=("type", *columns)), Terminal())
    rows = [cells(line)[-len(columns) :] for line in table(shown)[2:] if not line.startswith("─")]
    *parts, total = [[int(cell) for cell in row] for row in rows]
    assert total == [1525, 9472, 19732, 9516, 3152, 3152, 12668]
    assert [sum(column) for column in zip(*parts, strict=True)] == total


@pytest.mark.parametrize("width", range(20, 140))
def test_numbers_are_whole_at_any_width(width: int) -> None:
    """Each line shows some of its cells, never a part of one."""
    for full, narrow in zip(
        *(table(render(TINY, View(), Terminal(width=limit))) for limit in (None, width)), strict=True
    ):
        if not full.startswith("─"):
            assert set(cells(narrow)) <= set(cells(full))


def test_what_has_no_room_is_named() -> None:
    assert "no room for   type, input shape" in render(TINY, View(), Terminal(width=40))
    assert "no room for" not in render(TINY, View(), Terminal())


def test_a_pipe_gets_every_column_whatever_its_width() -> None:
    path = "module." * 60 + "end"
    assert path in render(renamed(path), View(), Terminal(width=None))


def test_long_names_are_shortened_in_the_middle_as_a_last_resort() -> None:
    lines = table(render(renamed("module." * 10 + "projection"), View(), Terminal(width=60)))
    assert lines[5] == "module.mo….module.projection  " + "1.290 k       2.560 k  5.140 k"


@pytest.mark.parametrize("color", [False, True])
def test_ascii_is_ascii(color: bool) -> None:
    text = render(renamed("模块"), View(top=4), Terminal(width=100, ascii=True, color=color))
    assert text.isascii()
    assert "\\u6a21\\u5757" in text
    assert re.search(r"\.\.\. and 1 more row\b", text)


def test_wide_characters_keep_columns_aligned() -> None:
    lines = table(render(renamed("模块"), View(columns=("path", "flops")), Terminal()))
    assert [line for line in lines if "模块" in line] == ["模块        5.140 k"]  # 4 cells, 8 blanks


def test_colour_adds_only_codes() -> None:
    plain = render(with_unknown(), View(), Terminal(width=100))
    colored = render(with_unknown(), View(), Terminal(width=100, color=True))
    without = "".join(f"{line.rstrip()}\n" for line in ANSI.sub("", colored).splitlines())
    assert colored != plain
    assert without == plain
    assert "\x1b" not in plain


def test_zeros_are_dim_and_lower_bounds_stand_out() -> None:
    colored = render(with_unknown(), View(columns=("path", "madds")), Terminal(color=True))
    assert re.search(r"\x1b\[2m +0  \x1b\[0m", colored)
    assert re.search(r"\x1b\[33m +≥0  \x1b\[0m", colored)


def test_terminal_codes_in_names_are_escaped() -> None:
    text = render(renamed("\x1b[31mhead\n"), View(), Terminal())
    assert "\x1b" not in text
    assert "\\x1b[31mhead\\n" in text


def test_tied_parameters_name_the_row_that_counts_them() -> None:
    assert any(line.startswith("lm_head = embed") for line in table(render(tied(), View(), Terminal())))


def test_columns_without_names() -> None:
    lines = table(render(TINY, View(columns=("flops", "params"), top=1, units="raw"), Terminal()))
    assert [cells(line) for line in lines if not line.startswith("─")] == [
        ["FLOPs", "params"],
        ["14080", "224"],
        ["5652", "1301"],
        ["19732", "1525"],
    ]


def test_rare_columns() -> None:
    view = View(columns=("path", "attrs", "intensity", "shared_with", "kind", "calls"))
    lines = table(render(TINY, view, Terminal()))
    assert cells(lines[2]) == ["features.0", '{"kernel_size": [3, 3], "groups": 1}', "6.11", "-", "leaf", "1"]
    assert cells(lines[6]) == ["aux", "-", "-", "-", "leaf", "0"]


def test_small_shares_are_not_zero() -> None:
    rows = (module("big", "Linear", flops=9_999), module("small", "ReLU", flops=1))
    total = replace(TINY.total, flops=10_000)
    lines = table(render(replace(TINY, rows=rows, total=total), View(columns=("path", "flops_share")), Terminal()))
    assert cells(lines[3]) == ["small", "<0.1 %"]


def test_an_empty_model() -> None:
    zero = sum_rows((), lower_bound=False)
    empty: Profile = replace(TINY, rows=(), operators=(), never_called=(), total=zero)
    assert cells(table(render(empty, View(columns=("path", "flops", "flops_share")), Terminal()))[-1]) == [
        "total",
        "0",
        "-",
    ]


def test_wide_names_of_every_kind_keep_columns_aligned() -> None:
    def shown(spell: Callable[[str], str]) -> str:
        rows = tuple(
            row._replace(path=spell(name), type=spell(name[:2]))
            for row, name in zip(TINY.rows, WIDE_NAMES, strict=True)
        )
        return render(replace(TINY, rows=rows), View(), Terminal())

    assert twin(shown(str)) == shown(twin)


@pytest.mark.parametrize("width", range(24, 100))
def test_wide_names_stay_within_the_terminal(width: int) -> None:
    rows = tuple(row._replace(path=name * 9) for row, name in zip(TINY.rows, WIDE_NAMES, strict=True))
    lines = table(render(replace(TINY, rows=rows), View(), Terminal(width=width)))
    assert max(map(display_width, lines)) <= width
    _, rule, *body = lines
    assert all(display_width(line) <= len(rule) for line in body)


@pytest.mark.parametrize("terminal", [Terminal(width=60), Terminal(width=60, ascii=True)], ids=["utf-8", "ascii"])
def test_wide_words_of_the_summary_stay_within_the_terminal(terminal: Terminal) -> None:
    origin = replace(TINY.provenance, assumptions=("模块 注 " * 20,))
    text = render(replace(TINY, provenance=origin, never_called=WIDE_NAMES), View(), terminal)
    assert max(map(display_width, text.splitlines())) <= 60
