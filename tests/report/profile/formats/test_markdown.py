from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.report.profiles import TINY, renamed, tied, with_unknown
from torchstat_cli.report.profile.formats.markdown import escape, render
from torchstat_cli.report.profile.view import View


def cells(line: str) -> list[str]:
    return [cell.strip().strip("*") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_golden(golden: Callable[[str, str], None]) -> None:
    golden("report/tiny.md", render(with_unknown(), View(depth=1)))
    golden("report/tied.md", render(tied()))


@pytest.mark.parametrize("view", [View(units="raw"), View(units="raw", top=2), View(units="raw", by="type")])
def test_columns_sum_to_the_totals(view: View) -> None:
    lines = [line for line in render(TINY, view).splitlines() if line.startswith("|")]
    heading = cells(lines[0])
    rows = [dict(zip(heading, cells(line), strict=True)) for line in lines[2:]]
    for name, total in {"params": 1525, "MAdds (MACs)": 9472, "FLOPs": 19732, "MemR+W": 12668}.items():
        assert int(rows[-1][name]) == total == sum(int(row[name]) for row in rows[:-1])


def test_every_line_has_every_column() -> None:
    lines = [line for line in render(renamed("a|b\nc"), View(top=4)).splitlines() if line.startswith("|")]
    assert {len(cells(line)) for line in lines} == {12}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a|b", r"a\|b"), ("__init__", r"\_\_init\_\_"), ("<script>", r"\<script\>"), ("a.b", "a.b"), ("`x`", r"\`x\`")],
)
def test_names_are_no_markup(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_warnings_are_bold() -> None:
    assert r"- **lower bound: no formula for mylib.op (2 calls, in features.1)**" in render(with_unknown())
