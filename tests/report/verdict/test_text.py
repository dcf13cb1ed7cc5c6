from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.gate.profiles import entry, profile, row
from tests.report import verdicts
from tests.report.display import WIDE_NAMES, twin
from tests.report.verdicts import (
    BETTER,
    ERROR,
    EVERY_STATE,
    FAILING,
    GONE,
    INHERITED,
    NEW,
    PARTIAL,
    PASSING,
    STALE,
    judged,
    run,
    vit,
)
from torchstat_cli.gate.verdict import State, Update
from torchstat_cli.report.verdict.text import TextStyle, render_text


def test_pass() -> None:
    assert (
        render_text(run(PASSING, judged(verdicts.VIT, vit(), vit())))
        == """\
PASS  resnet18   params 11.69 M  =    flops 3.628 G  =    memory 28.53 MiB  =
PASS  vit_tiny   params 5.712 M  =    flops 2.507 G  =    memory 48.75 MiB  =

PASS  2 models, 6 numbers, none grew        baseline sample_models/baseline.json
"""
    )


def test_fail() -> None:
    assert (
        render_text(run(PASSING, FAILING))
        == """\
PASS  resnet18   params 11.69 M  =    flops 3.628 G  =    memory 28.53 MiB  =
FAIL  vit_tiny   sample_models/vit.py:14

        metric      baseline          now                 change     limit
  FAIL  params       5.712 M      6.895 M   +1.183 M    +20.70 %       +1%
  FAIL  flops        2.507 G      2.972 G   +464.8 M    +18.54 %       +1%
  ok    memory     48.75 MiB    51.06 MiB   +2.309 MiB   +4.74 %    64 MiB

  Why: 2 of 3 layer groups changed and explain all of the growth
       params       flops
  ~  +592.9 k    +232.4 M   transformer.layers.*.1.net.1   12 x Linear 192->768  is now 192->1024
  ~  +589.8 k    +232.4 M   transformer.layers.*.1.net.4   12 x Linear 768->192  is now 1024->192

  Edge budget, see docs/edge.md before raising
  Intended?   modelstat check vit_tiny --update      then commit sample_models/baseline.json
  Too tight?  edit limits in pyproject.toml, [tool.modelstat.models.vit_tiny]

FAIL  1 of 2 models: 2 of 6 numbers over their limit
"""
    )


def test_better() -> None:
    assert (
        render_text(run(BETTER))
        == """\
BETTER  vit_tiny   params 5.712 M  -17.15 %    flops 2.507 G  -15.64 %    memory 48.75 MiB  -4.52 %

PASS  1 model. 3 numbers are better than the baseline; keep the win:  modelstat check vit_tiny --ratchet
"""
    )


def test_new() -> None:
    assert (
        render_text(run(judged(verdicts.VIT, vit(), vit()), NEW))
        == """\
PASS  vit_tiny   params 5.712 M  =    flops 2.507 G  =    memory 48.75 MiB  =
NEW   resnet18   params 11.69 M       flops 3.628 G       memory 28.53 MiB

  resnet18 has no baseline entry, so only its ceilings were judged (it has none).
  Start guarding it:  modelstat check resnet18 --update

PASS  2 models, 3 numbers, none grew; 1 model is new          (--strict would fail)
"""
    )


def test_the_other_states() -> None:
    assert (
        render_text(run(INHERITED, PARTIAL, STALE, ERROR, GONE))
        == """\
INHERITED  resnet18   params 11.69 M  =    flops 3.628 G  =    memory 28.53 MiB  =
PARTIAL    resnet18   params 11.69 M  =    flops 3.628 G  =    memory 28.53 MiB  =
STALE      vit_tiny   not comparable with its baseline
ERROR      unet       could not be measured
GONE       old        in the baseline, but no longer configured

  resnet18 was over its ceiling on flops before this branch, which made it no worse.
  resnet18 has operators without a rule, so its totals are lower bounds: my.op (2 calls)
  old is no longer configured. Drop its entry:  modelstat check --update

ERROR  2 of 5 models could not be decided; 2 others were checked: 2 passed
"""
    )


def test_strict() -> None:
    text = render_text(run(NEW, PARTIAL, INHERITED, GONE, BETTER, strict=True))
    assert text.endswith("\nFAIL  5 of 5 models: 1 new, 1 gone, 1 inherited, 1 partial, 1 better (--strict)\n")
    assert "vit_tiny is better than its baseline. Keep the win:  modelstat check vit_tiny --ratchet" in text


def test_exit_zero_still_says_fail() -> None:
    assert render_text(run(FAILING, exit_zero=True)).endswith(
        "FAIL  1 of 1 model: 2 of 3 numbers over their limit   (--exit-zero)\n"
    )


def test_growth_within_limits_is_told() -> None:
    model = entry("resnet18", params="+1%", flops="+50%")
    grown = judged(model, profile(row("x", flops=120)), profile(row("x", flops=100)))
    assert "flops 120  +20.00 %" in render_text(run(grown))
    assert "3 numbers, 1 grew within limits" in render_text(run(grown))


def test_growth_that_the_branch_accepted_is_told() -> None:
    text = render_text(run(verdicts.ACCEPTED, PASSING, against="main"))
    assert "PASS  vit_tiny   params 6.895 M  +20.70 %    flops 2.972 G  +18.54 %    memory 51.06 MiB  +4.74 %\n" in text
    assert "\n  vit_tiny: flops 2.507 G -> 2.972 G (+18.54 %), accepted in this branch\n" in text
    assert "PASS  2 models, 6 numbers, 3 grew, accepted in this branch" in text
    assert "none grew" not in text
    explained = render_text(run(verdicts.ACCEPTED), TextStyle(explain=True))
    assert "12 x Linear 192->768  is now 192->1024" in explained


def test_growth_from_nothing_has_an_amount_and_no_percentage() -> None:
    grown = judged(entry("m", flops="+1%"), profile(row("x", flops=1000)), profile(row("x", flops=0)))
    (line,) = [line for line in render_text(run(grown)).splitlines() if "FAIL  flops" in line]
    assert line.split() == ["FAIL", "flops", "0", "1.000", "k", "+1.000", "k", "+1%"]


@pytest.mark.parametrize(
    ("limit", "base", "now"), [("100 kB", 50_000, 100_001), ("+1%", 10**9, 10**9 + 10**7 + 1), ("+0", 10**9, 10**9 + 1)]
)
def test_numbers_that_would_read_the_same_are_printed_in_full(limit: str, base: int, now: int) -> None:
    failing = judged(entry("m", memory=limit), profile(row("x", memory=now)), profile(row("x", memory=base)))
    text = render_text(run(failing))
    ceiling_reads_the_same = limit == "100 kB"
    baseline_reads_the_same = now - base == 1
    assert ("100,001" in text and "100,000" in text) == ceiling_reads_the_same
    assert ("1,000,000,001" in text and "1,000,000,000" in text and "+1 " in text) == baseline_reads_the_same


def test_a_broken_ceiling_is_not_mended_by_an_update() -> None:
    failing = judged(entry("m", flops="10"), profile(row("x", flops=11)), profile(row("x", flops=11)))
    text = render_text(run(failing))
    assert "--update" not in text
    assert "Too tight?  edit limits in pyproject.toml, [tool.modelstat.models.m]" in text


def test_what_is_left_out_is_summed() -> None:
    before = profile(*(row(f"layer{index}", flops=10) for index in range(8)))
    after = profile(*(row(f"layer{index}", flops=10 + index + 1) for index in range(8)))
    text = render_text(run(judged(entry("m", flops="+1%"), after, before)), TextStyle(top=3))
    assert "Why: 8 of 8 layer groups changed; the largest 3 first" in text
    deltas = [line.split() for line in text.split("largest 3 first")[1].splitlines()[2:6]]
    assert [words[1] for words in deltas[:3]] == ["+8", "+7", "+6"]
    assert deltas[3] == ["+15", "and", "5", "more"]


def test_styles() -> None:
    verdict = run(PASSING, FAILING, BETTER)
    assert "Why:" not in render_text(verdict, TextStyle(explain=False))
    assert render_text(verdict, TextStyle(explain=True)).count("Why:") == 2
    assert "PASS  resnet18" not in render_text(verdict, TextStyle(quiet=True))
    assert "FAIL  vit_tiny" in render_text(verdict, TextStyle(quiet=True))
    assert render_text(verdict).count("madds") == 0
    assert render_text(verdict, TextStyle(verbose=True)).count("madds") == 3


def test_colours_only_when_asked_for() -> None:
    text = render_text(run(*EVERY_STATE))
    assert "\033" not in text
    colored = render_text(run(*EVERY_STATE), TextStyle(color=True))
    assert "\033[1;31mFAIL\033[0m  params" in colored
    assert colored.count("\033") % 2 == 0


def test_an_update_says_what_it_wrote() -> None:
    settled = replace(
        FAILING, state=State.PASS, checks=tuple(replace(check, state=State.PASS, broken=()) for check in FAILING.checks)
    )
    text = render_text(run(PASSING, settled, update=Update(("vit_tiny",), ("old",), True)))
    assert "  ok    params       5.712 M      6.895 M   +1.183 M    +20.70 %       +1%" in text
    assert text.endswith("PASS  wrote vit_tiny; dropped old        now commit sample_models/baseline.json\n")
    unchanged = render_text(run(PASSING, update=Update((), (), False)))
    assert unchanged.endswith("PASS  sample_models/baseline.json is up to date\n")


def test_a_renamed_model_is_asked_about() -> None:
    renamed = run(replace(NEW, name="seg", renamed_from="segmenter"), replace(GONE, name="segmenter"))
    text = render_text(renamed)
    assert "\n  seg has segmenter's numbers: renamed?  modelstat check --update  moves the entry.\n" in text


def test_an_update_says_what_it_migrated() -> None:
    update = Update(("a", "b"), (), True, ("a, b: the baseline was counted with rules 1, this run with 2",))
    text = render_text(run(PASSING, update=update))
    assert "\n  migrated a, b: the baseline was counted with rules 1, this run with 2\n" in text
    assert "PASS  wrote a, b        now commit" in text


def test_against() -> None:
    assert render_text(run(PASSING, against="main")).endswith(
        "baseline sample_models/baseline.json where main forked\n"
    )


@pytest.mark.parametrize("style", [TextStyle(), TextStyle(verbose=True, explain=True)], ids=["quiet", "verbose"])
def test_wide_names_keep_columns_aligned(style: TextStyle) -> None:
    """Names of models, of their layers and of the groups of layers that are limited."""

    def shown(spell: Callable[[str], str]) -> str:
        models = []
        for size, name in enumerate(WIDE_NAMES):
            model = entry(spell(name), params="+1%", flops="+1%")
            model = replace(model, module_rules={spell(f"{each}*"): model.rules for each in WIDE_NAMES})
            before = profile(*(row(spell(each), flops=100 + size) for each in WIDE_NAMES), source=None)
            growth = 100 if size % 2 else 0  # every other model fails
            layers = (row(spell(each), flops=100 + size + growth * rank) for rank, each in enumerate(WIDE_NAMES, 1))
            models.append(judged(model, profile(*layers, source=None) if growth else before, before))
        return render_text(run(*models), style)

    assert twin(shown(str)) == shown(twin)
    assert shown(str).count("Why:") == 2


def test_a_name_moves_no_cursor() -> None:
    name = "a\x1b[2J\nb"
    before, after = (profile(row(name, flops=flops)) for flops in (1, 2))
    grown = judged(replace(entry(name, flops="+1%"), module_rules={}), after, before)
    head, *lines = render_text(run(grown)).splitlines()
    assert head == r"FAIL  a\x1b[2J\nb   models.py:14"
    assert r"  ~     +1   a\x1b[2J\nb   1 x Linear" in lines
