from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.gate.profiles import blocks, linear, profile
from tests.report.display import WIDE_NAMES, twin
from torchstat_cli.gate.compare import compare_profiles
from torchstat_cli.report.verdict.comparison import render_comparison

SMALL, LARGE = profile(*blocks(2, 4, 8), linear("old", 4, 4)), profile(*blocks(3, 4, 8), linear("new", 4, 4))
COMPARISON = compare_profiles(SMALL, LARGE, ("small", "large"))

# One block: (4·8 + 8) + (8·4 + 4) = 76 params, 2·64 + 12 = 140 FLOPs, 4·12 = 48 bytes; the linear layer: 20, 36, 16.
TEXT = """\
             small    large    change
params         172      248    +76     +44.19 %
trainable      172      248    +76     +44.19 %
flops          316      456    +140    +44.30 %
madds          144      208    +64     +44.44 %
memory       112 B    160 B    +48 B   +42.86 %

4 of 4 layer groups differ
     params    flops    memory
  ~     +40      +72     +32 B   blocks.*.mlp.0   2 x Linear 4->8  is now 3 x
  ~     +36      +68     +16 B   blocks.*.mlp.2   2 x Linear 8->4  is now 3 x
  +     +20      +36     +16 B   new              1 x Linear 4->4
  -     -20      -36     -16 B   old              1 x Linear 4->4

added: blocks.2, new

removed: old
"""


def test_text() -> None:
    assert render_comparison(COMPARISON, "text") == TEXT


def test_text_of_equals() -> None:
    same = compare_profiles(SMALL, SMALL, ("a", "b"))
    assert render_comparison(same, "text").endswith("\nThe two have the same layer groups.\n")


def test_what_is_left_out_is_summed() -> None:
    assert "and 2 more" in render_comparison(COMPARISON, "text", top=2)
    (rest,) = [line.split() for line in render_comparison(COMPARISON, "text", top=2).splitlines() if "more" in line]
    assert rest == ["=", "=", "=", "and", "2", "more"]


def test_numbers_that_would_read_the_same_are_printed_in_full() -> None:
    close = compare_profiles(
        profile(linear("a", 1000, 1000)), profile(linear("a", 1000, 1000), linear("b", 1, 1)), ("x", "y")
    )
    (params, *_) = [line for line in render_comparison(close, "text").splitlines() if line.startswith("params")]
    assert params.split() == ["params", "1,001,000", "1,001,002", "+2", "<0.01", "%"]


def test_markdown() -> None:
    lines = render_comparison(COMPARISON, "markdown").splitlines()
    assert lines[:3] == [
        "| | small | large | change | |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| params | 172 | 248 | +76 | +44.19 % |",
    ]
    assert lines.count("```text") == lines.count("```") == 1


def test_names_are_no_markup() -> None:
    after = profile(*blocks(2, 4, 8), linear("<b>", 4, 4))
    lines = render_comparison(compare_profiles(SMALL, after, ("a|b", "<i>`c`")), "markdown").splitlines()
    assert lines[0] == "| | a\\|b | &lt;i>'c' | change | |"
    assert "added: &lt;b>" in lines


def test_json() -> None:
    document = json.loads(render_comparison(COMPARISON, "json"))
    assert document["schema"] == 1
    assert document["totals"]["params"] == {"before": 172, "after": 248, "delta": 76}
    assert (document["added"], document["removed"], document["groups"]) == (["blocks.2", "new"], ["old"], 4)
    assert sum(change["deltas"]["flops"] for change in document["changes"]) == document["totals"]["flops"]["delta"]


def test_no_such_form() -> None:
    with pytest.raises(ValueError, match="choose text, markdown or json"):
        render_comparison(COMPARISON, "yaml")


def test_wide_names_keep_columns_aligned() -> None:
    def compared(spell: Callable[[str], str]) -> str:
        layers = [linear(spell(name), 4, 4 + size) for size, name in enumerate(WIDE_NAMES)]
        after = [linear(spell(name), 8, 40 + 2 * size) for size, name in enumerate(WIDE_NAMES)]
        names = (spell("模块:注"), spell("한ｗ🔥"))
        return render_comparison(compare_profiles(profile(*layers), profile(*after), names), "text")

    assert twin(compared(str)) == compared(twin)
    assert compared(str).count("Linear") == len(WIDE_NAMES)


def test_a_name_moves_no_cursor() -> None:
    after = profile(*blocks(2, 4, 8), linear("a\x1b[2J\nb", 4, 4))
    text = render_comparison(compare_profiles(SMALL, after, ("x\r", "y")), "text")
    assert not {"\x1b", "\r"} & set(text)
    assert r"a\x1b[2J\nb   1 x Linear" in text
