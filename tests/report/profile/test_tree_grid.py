from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.report.profiles import TINY, module
from torchstat_cli.errors import UsageError
from torchstat_cli.report import render
from torchstat_cli.report.profile.view import View
from torchstat_cli.report.terminal import Terminal


def names(text: str) -> list[str]:
    """The first column between the rules: all that stands left of the numbers."""
    table = text.split("\n\n")[0].splitlines()
    return [re.sub(r"\s+[\d.]+( k)?(\s+█*)?$", "", line) for line in table[2:-2]]


def test_lines_lead_to_every_module() -> None:
    view = View(tree=True, columns=("path", "flops"))
    assert names(render(TINY, view=view)) == [
        "(root)",
        "├─ (direct)",
        "├─ features",
        "│  ├─ 0",
        "│  └─ 1",
        "├─ head",
        "└─ aux",
    ]


def test_bars_show_shares_of_the_flops() -> None:
    # features 14336 of 19732 is 73 %: 15 of 20 cells; head 26 %: 5.
    lines = render(TINY, view=View(tree=True)).splitlines()
    bars = {line.split()[1]: line.count("█") for line in lines[2:9]}
    assert (bars["features"], bars["head"], bars["aux"]) == (15, 5, 0)
    assert lines[2].count("█") == 20


def test_depth_cuts_the_tree_and_each_level_still_adds_up() -> None:
    text = render(TINY, view=View(tree=True, depth=1, columns=("path", "flops"), units="raw"))
    assert names(text) == ["(root)", "├─ (direct)", "├─ features", "├─ head", "└─ aux"]
    assert [int(line.split()[2]) for line in text.splitlines()[3:7]] == [256, 14336, 5140, 0]


def test_equal_neighbors_fold_in_the_tree_unless_told_otherwise() -> None:
    rows = tuple(module(f"layers.{index}", "Linear", flops=1) for index in range(6))
    profile = replace(TINY, rows=rows, containers=())
    assert "└─ 0–5" in render(profile, view=View(tree=True))
    assert "├─ 3" in render(profile, view=View(tree=True, unfold=True))


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("ascii", [False, True])
def test_no_line_is_wider_than_the_terminal(width: int, ascii: bool) -> None:
    text = render(TINY, view=View(tree=True), terminal=Terminal(width=width, ascii=ascii))
    assert max(map(len, text.splitlines())) <= width
    assert text.isascii() is ascii


@pytest.mark.parametrize(
    ("view", "format", "message"),
    [
        (View(tree=True, sort="flops"), "table", "cannot take sort"),
        (View(tree=True, top=3), "table", "cannot take top"),
        (View(tree=True, filter="a"), "table", "cannot take filter"),
        (View(tree=True, by="operator"), "table", "cannot take by"),
        (View(tree=True, columns=("flops",)), "table", "names of modules"),
        (View(tree=True), "csv", "csv cannot draw a tree"),
        (View(tree=True), "json", "json cannot draw a tree"),
    ],
)
def test_what_a_tree_cannot_do(view: View, format: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        render(TINY, format, view)
