from __future__ import annotations

from tests.gate.profiles import blocks, linear, profile
from torchstat_cli.gate.compare import Total, compare_profiles

SMALL, LARGE = profile(*blocks(2, 4, 8), linear("old", 4, 4)), profile(*blocks(3, 4, 8), linear("new.a", 4, 4))


def test_totals_groups_and_modules() -> None:
    comparison = compare_profiles(SMALL, LARGE, ("small", "large"))
    block = (4 * 8 + 8) + (8 * 4 + 4)
    assert (comparison.before, comparison.after) == ("small", "large")
    assert comparison.totals[0] == Total("params", 2 * block + 20, 3 * block + 20)
    assert [total.metric for total in comparison.totals] == ["params", "trainable", "flops", "madds", "memory"]
    assert {change.path: change.kind for change in comparison.explanation.changes} == {
        "blocks.*.mlp.0": "changed",
        "blocks.*.mlp.2": "changed",
        "new.a": "added",
        "old": "removed",
    }
    assert (
        sum(change.deltas["params"] for change in comparison.explanation.changes) == comparison.totals[0].delta == block
    )
    assert comparison.added == ("blocks.2", "new")
    assert comparison.removed == ("old",)
    assert comparison.cautions == ()


def test_a_metric_that_only_one_side_has_is_left_out() -> None:
    comparison = compare_profiles(profile(linear("a", 1, 1), peak=9), profile(linear("a", 1, 1)), ("x", "y"))
    assert "peak" not in [total.metric for total in comparison.totals]


def test_cautions() -> None:
    other = profile(*blocks(2, 4, 8), shape=(2, 8), rules=2, torch="2.12.0", unknown=("my.op",))
    assert compare_profiles(SMALL, other, ("x", "y")).cautions == (
        "input: 1x8:float32 against 2x8:float32",
        "rules: 1 against 2",
        "torch: 2.13 against 2.12",
        "totals are lower bounds, no rule for my.op",
    )
