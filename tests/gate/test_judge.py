"""Every state of a model, from limits, numbers and baselines written down here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.gate.profiles import blocks, entry, linear, profile, row
from torchstat_cli.errors import ForwardError
from torchstat_cli.gate.config import ModelEntry
from torchstat_cli.gate.judge import failed_model, gone_model, judge_model, take_snapshot
from torchstat_cli.gate.verdict import ModelVerdict, State
from torchstat_cli.records import Profile


def flops(number: int) -> Profile:
    return profile(row("layer", flops=number, params=10))


def judged(model: ModelEntry, now: Profile, base: Profile | None, **options: Any) -> ModelVerdict:
    committed = take_snapshot(model, base) if base is not None else None
    return judge_model(model, now, committed, None, against=False)


def against(model: ModelEntry, now: Profile, fork: Profile | None, committed: Profile | None = None) -> ModelVerdict:
    written = committed if committed is not None else fork
    return judge_model(
        model,
        now,
        take_snapshot(model, written) if written is not None else None,
        take_snapshot(model, fork) if fork is not None else None,
        against=True,
    )


def state_of(verdict: ModelVerdict, metric: str) -> State:
    (check,) = [check for check in verdict.checks if check.metric == metric and check.module is None]
    return check.state


@pytest.mark.parametrize(
    ("limit", "largest"),
    [("+1%", 1010), ("+25", 1025), ("1100", 1100), (["+50%", "1100"], 1100), (["+5", "1100"], 1005)],
)
def test_equal_passes_and_one_more_fails(limit: Any, largest: int) -> None:
    model = entry(flops=limit)
    assert judged(model, flops(largest), flops(1000)).state is State.PASS
    broken = judged(model, flops(largest + 1), flops(1000))
    assert broken.state is State.FAIL
    (check,) = [check for check in broken.checks if check.broken]
    assert (check.metric, check.current, check.baseline, check.delta) == ("flops", largest + 1, 1000, largest - 999)


def test_off_is_reported_and_never_judged() -> None:
    verdict = judged(entry(flops="off"), flops(10**9), flops(1))
    assert verdict.state is State.PASS


def test_growth_from_nothing() -> None:
    assert judged(entry(flops="+50%"), flops(1), flops(0)).state is State.FAIL
    assert judged(entry(flops="+50%"), flops(0), flops(0)).state is State.PASS
    assert judged(entry(flops="+1"), flops(1), flops(0)).state is State.PASS


def test_better() -> None:
    verdict = judged(entry(flops="+1%"), flops(900), flops(1000))
    assert verdict.state is State.BETTER
    assert state_of(verdict, "params") is State.PASS


def test_a_number_over_its_limit_beats_one_that_is_better() -> None:
    now, base = profile(row("x", flops=900, memory=200)), profile(row("x", flops=1000, memory=100))
    assert judged(entry(flops="+1%", memory="+1%"), now, base).state is State.FAIL


def test_new_and_its_ceilings() -> None:
    assert judged(entry(flops="+1%"), flops(1000), None).state is State.NEW
    assert judged(entry(flops="2 k"), flops(1000), None).state is State.NEW
    assert judged(entry(flops="999"), flops(1000), None).state is State.FAIL


def test_a_limited_number_that_the_baseline_lacks_is_new() -> None:
    model = entry(peak="+1%")
    verdict = judged(model, replace_peak(500), flops(1000))
    assert verdict.state is State.NEW
    assert state_of(verdict, "peak") is State.NEW


def replace_peak(peak: int) -> Profile:
    return profile(row("layer", flops=1000, params=10), peak=peak)


def test_peak() -> None:
    model = entry(peak="+1%")
    assert judged(model, replace_peak(505), replace_peak(500)).state is State.PASS
    assert judged(model, replace_peak(506), replace_peak(500)).state is State.FAIL


def test_a_limit_on_a_number_that_was_not_measured_is_no_pass() -> None:
    verdict = judged(entry(peak="1 MB"), flops(1), flops(1))
    assert verdict.state is State.ERROR
    assert "peak is limited, but this run did not measure it" in str(verdict.problem)


@pytest.mark.parametrize(
    ("now", "words", "models"),
    [
        (profile(row("x"), shape=(1, 9)), "measured on 1x8, this run on 1x9", "tiny "),
        (profile(row("x"), mode="train"), "measured in mode eval, this run in train", "tiny "),
        (profile(row("x"), rules=2), "counted with rules 1, this run with 2", ""),  # which concerns every model
    ],
)
def test_stale(now: Profile, words: str, models: str) -> None:
    verdict = judged(entry(flops="+1%"), now, profile(row("x")))
    assert verdict.state is State.STALE
    assert words in str(verdict.problem)
    assert verdict.remedy == f"measure again on purpose:  modelstat check {models}--update"


def test_another_dtype_is_named_in_full() -> None:
    plain = profile(row("x"))
    half = replace(
        plain, provenance=replace(plain.provenance, inputs=(replace(plain.provenance.inputs[0], dtype="float16"),))
    )
    verdict = judged(entry(flops="+1%"), half, plain)
    assert "1x8:float32, this run on 1x8:float16" in str(verdict.problem)


def test_partial() -> None:
    partial = profile(row("x"), unknown=("my.op",))
    assert judged(entry(flops="+1%"), partial, partial).state is State.PARTIAL
    grown = profile(row("x", flops=5), unknown=("my.op",))
    verdict = judged(entry(flops="+1%"), grown, partial)
    assert verdict.state is State.FAIL
    assert State.PARTIAL in verdict.states


def test_a_newly_counted_operator_is_mentioned() -> None:
    verdict = judged(entry(flops="+1%"), flops(2000), profile(row("layer", flops=1000), unknown=("my.op",)))
    assert verdict.notes == ("my.op was not counted in the baseline and may be now",)


def test_another_torch_is_mentioned_only_where_numbers_moved() -> None:
    base = profile(row("x", flops=10), torch="2.12.1")
    moved = judged(entry(flops="+1%"), profile(row("x", flops=20)), base)
    assert moved.notes == ("torch 2.12 -> 2.13 since the baseline: check dispatch first",)
    assert judged(entry(flops="+1%"), profile(row("x", flops=10)), base).notes == ()


def test_a_factory_outside_the_project_has_no_line_to_point_at() -> None:
    inside = judged(entry(), profile(row("x"), source="models/vit.py:14"), None)
    outside = judged(entry(), profile(row("x"), source="/usr/lib/python3/vit.py:14"), None)
    assert (inside.source, outside.source, outside.spec) == ("models/vit.py:14", None, "models:tiny")


def test_error_and_gone() -> None:
    error = ForwardError("forward failed in 'up.2.conv'", "give other inputs", path="up.2.conv")
    verdict = failed_model(entry("unet"), error)
    assert (verdict.state, verdict.problem, verdict.remedy) == (
        State.ERROR,
        "forward failed in 'up.2.conv'",
        "give other inputs",
    )
    assert gone_model("old").state is State.GONE


class TestAgainst:
    def test_the_fork_is_the_reference(self) -> None:
        assert against(entry(flops="+1%"), flops(1010), flops(1000)).state is State.PASS
        assert against(entry(flops="+1%"), flops(1011), flops(1000)).state is State.FAIL

    def test_absent_at_the_fork_is_new_even_if_the_branch_wrote_an_entry(self) -> None:
        assert against(entry(flops="+1%"), flops(10), None, committed=flops(10)).state is State.NEW

    def test_a_new_model_is_held_to_the_entry_that_the_branch_wrote_for_it(self) -> None:
        model = entry(flops="+1%")
        assert against(model, flops(1010), None, committed=flops(1000)).state is State.NEW
        verdict = against(model, flops(1011), None, committed=flops(1000))
        assert verdict.state is State.FAIL
        assert verdict.notes == ("compared with the entry that this branch wrote into the baseline",)
        assert against(model, flops(1011), None).state is State.NEW

    def test_and_must_be_comparable_with_it(self) -> None:
        before, after = profile(row("x"), shape=(1, 8)), profile(row("x"), shape=(1, 9))
        assert against(entry(flops="+1%"), after, None, committed=before).state is State.STALE

    def test_inherited(self) -> None:
        model = entry(flops="900")
        assert against(model, flops(1000), flops(1000)).state is State.INHERITED
        assert against(model, flops(950), flops(1000)).state is State.INHERITED
        assert against(model, flops(1001), flops(1000)).state is State.FAIL
        assert against(model, flops(901), flops(900)).state is State.FAIL

    def test_a_broken_growth_limit_is_never_inherited(self) -> None:
        assert against(entry(flops=["+0", "900"]), flops(1001), flops(1000)).state is State.FAIL

    def test_without_a_ref_nothing_is_inherited(self) -> None:
        assert judged(entry(flops="900"), flops(1000), flops(1000)).state is State.FAIL

    def test_growth_that_the_branch_wrote_into_the_baseline_is_accepted(self) -> None:
        verdict = against(entry(flops="+1%"), flops(2000), flops(1000), committed=flops(2000))
        assert verdict.state is State.PASS
        (check,) = verdict.accepted
        assert (check.metric, check.accepted_from, check.baseline, check.growth, check.delta) == (
            "flops",
            1000,
            2000,
            1000,
            0,
        )
        assert verdict.explanation is not None
        assert [change.deltas["flops"] for change in verdict.explanation.changes] == [1000]

    def test_what_did_not_grow_since_the_fork_was_not_accepted(self) -> None:
        def both(params: int, number: int) -> Profile:
            return profile(row("layer", flops=number, params=params))

        model = entry(flops="+1%", params="+1%")
        verdict = against(model, both(100, 2000), both(100, 1000), committed=both(100, 2000))
        assert [check.metric for check in verdict.accepted] == ["flops"]
        # The entry accepts more params than the model has: nothing grew.
        verdict = against(model, both(100, 2000), both(100, 1000), committed=both(150, 2000))
        assert [check.metric for check in verdict.accepted] == ["flops"]
        # Growth that the limit allows needs no acceptance.
        assert against(model, both(100, 1005), both(100, 1000), committed=both(100, 1005)).accepted == ()
        # Beyond the entry it is broken, not accepted.
        broken = against(model, both(100, 3000), both(90, 1000), committed=both(100, 2000))
        assert [check.metric for check in broken.accepted] == ["params"]
        assert broken.explanation is not None
        assert [change.deltas["flops"] for change in broken.explanation.changes] == [1000]  # since the entry

    def test_but_not_beyond_what_it_wrote(self) -> None:
        assert against(entry(flops="+1%"), flops(3000), flops(1000), committed=flops(2000)).state is State.FAIL

    def test_and_a_ceiling_is_not_lifted_by_it(self) -> None:
        model = entry(flops=["+1%", "1500"])
        assert against(model, flops(2000), flops(1000), committed=flops(2000)).state is State.FAIL

    def test_an_input_that_the_branch_changed_on_purpose(self) -> None:
        before, after = profile(row("x"), shape=(1, 8)), profile(row("x"), shape=(1, 9))
        assert against(entry(flops="+1%"), after, before).state is State.STALE
        verdict = against(entry(flops="+1%"), after, before, committed=after)
        assert verdict.state is State.PASS
        assert verdict.notes == (
            "where this branch forked the baseline was measured on 1x8, this run on 1x9, accepted in this branch",
            "compared with the entry that this branch wrote into the baseline",
        )


class TestModules:
    def test_a_selection_is_judged_by_its_sum(self) -> None:
        model = entry(modules={"blocks.*": {"params": "+4"}, "head": {"flops": "1 k"}})
        base = profile(*blocks(2, 4, 8), linear("head", 4, 3))
        assert judged(model, base, base).state is State.PASS
        # 2·(4·8+8 + 8·4+4) = 152 params; one hidden unit more in both: 2·9 = 18
        wider = judged(model, profile(*blocks(2, 4, 9), linear("head", 4, 3)), base)
        (check,) = [check for check in wider.checks if check.module == "blocks.*"]
        assert (wider.state, check.baseline, check.current, check.label) == (State.FAIL, 152, 170, "blocks.* params")

    def test_a_glob_that_matches_nothing_is_no_pass(self) -> None:
        verdict = judged(entry(modules={"haed": {"flops": "1 k"}}), profile(linear("head", 4, 3)), None)
        assert (verdict.state, verdict.remedy) == (State.ERROR, "did you mean 'head'?")

    def test_a_glob_that_the_baseline_lacks_is_new(self) -> None:
        base = take_snapshot(entry(), profile(linear("head", 4, 3)))
        guarded = entry(modules={"head": {"flops": "+1%"}})
        verdict = judge_model(guarded, profile(linear("head", 4, 3)), base, None, against=False)
        assert verdict.state is State.NEW


def test_a_metric_that_the_baseline_is_older_than_explains_nothing() -> None:
    """A baseline from before ``madds`` could be judged: nothing grew, and where it did, madds are no part of it."""
    rows = blocks(2, 4, 8)
    full = take_snapshot(entry(), profile(*rows))
    older = replace(
        full,
        totals={name: value for name, value in full.totals.items() if name != "madds"},
        groups={
            path: tuple(
                replace(group, sums={name: value for name, value in group.sums.items() if name != "madds"})
                for group in groups
            )
            for path, groups in full.groups.items()
        },
    )
    same = judge_model(entry(flops="+0"), profile(*rows), older, None, against=False)
    assert (same.state, same.explanation) == (State.PASS, None)
    grown = judge_model(entry(flops="+0"), profile(*rows, linear("head", 4, 2)), older, None, against=False)
    assert grown.explanation is not None
    assert [(change.path, change.kind) for change in grown.explanation.changes] == [("head", "added")]
    assert grown.explanation.changes[0].deltas["madds"] == 0
