from __future__ import annotations

import re

import pytest

from tests.report.profiles import TINY, renamed, tied, with_unknown
from torchstat_cli.report.profile.formats.latex import escape, render
from torchstat_cli.report.profile.view import View


def rows(text: str) -> list[list[str]]:
    lines = [line.removesuffix(r" \\") for line in text.splitlines() if line.endswith(r"\\")]
    return [re.split(r" (?<!\\)& ", line) for line in lines]


@pytest.mark.parametrize("view", [View(), View(depth=1), View(by="type"), View(by="operator"), View(top=2)])
def test_columns_sum_to_the_totals(view: View) -> None:
    heading, *body, total = rows(render(TINY, View(by=view.by, depth=view.depth, top=view.top, units="raw")))
    for name, value in {"MAdds (MACs)": 9472, "FLOPs": 19732}.items():
        place = heading.index(name)
        assert int(total[place]) == value == sum(int(row[place]) for row in body)


def test_booktabs_with_numbers_flush_right() -> None:
    text = render(TINY)
    assert "\\begin{tabular}{lllrrr}" in text
    assert [rule for rule in ("\\toprule", "\\midrule", "\\bottomrule") if rule not in text] == []
    assert all(len(row) == 6 for row in rows(render(tied())))
    assert "$\\geq$256" in render(with_unknown())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b", r"a\_b"),
        ("100 %", r"100 \%"),
        ("x&y", r"x\&y"),
        ("\\input{f}", r"\textbackslash{}input\{f\}"),
        ("^~", r"\textasciicircum{}\textasciitilde{}"),
        ("0–5", "0--5"),
    ],
)
def test_names_are_no_commands(text: str, expected: str) -> None:
    assert escape(text) == expected
    assert expected in render(renamed(text))
