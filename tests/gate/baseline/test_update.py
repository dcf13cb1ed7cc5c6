from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.gate.profiles import blocks, linear, profile, row
from torchstat_cli.gate.baseline.json import read_baseline, write_baseline
from torchstat_cli.gate.baseline.snapshot import snapshot_of
from torchstat_cli.gate.baseline.update import ratcheted, updated
from torchstat_cli.gate.layer_groups import Groups
from torchstat_cli.gate.metrics import SUMMED_METRICS
from torchstat_cli.records import ModuleRecord

SMALL, LARGE = snapshot_of(profile(*blocks(2, 4, 8))), snapshot_of(profile(*blocks(2, 4, 16)))


def sum_of(groups: Groups, metric: str) -> int:
    return sum(group.sums.get(metric, 0) for found in groups.values() for group in found)


def test_an_update_touches_only_what_was_measured() -> None:
    assert updated({"a": SMALL, "b": SMALL}, {"b": LARGE}) == {"a": SMALL, "b": LARGE}
    assert updated({"a": SMALL, "b": SMALL}, {"b": LARGE}, {"a"}) == {"b": LARGE}


def test_a_ratchet_takes_what_shrank_and_nothing_else() -> None:
    assert ratcheted({"a": LARGE}, {"a": SMALL}) == {"a": SMALL}
    assert ratcheted({"a": SMALL}, {"a": LARGE}) == {"a": SMALL}
    assert ratcheted({"a": SMALL}, {"b": LARGE}) == {"a": SMALL}


def test_a_ratchet_leaves_an_incomparable_entry() -> None:
    other = snapshot_of(profile(*blocks(1, 4, 8), shape=(1, 9)))
    assert ratcheted({"a": LARGE}, {"a": other}) == {"a": LARGE}


def test_a_ratchet_of_one_number_keeps_groups_and_totals_in_step() -> None:
    old = snapshot_of(profile(linear("kept", 4, 4), row("dropped", params=50, flops=10)))
    new = snapshot_of(profile(linear("kept", 4, 4), row("added", "Conv2d", params=20, flops=999)))
    result = ratcheted({"a": old}, {"a": new})["a"]
    assert result.totals["params"] == 20 + 20  # the linear layer, and the new convolution
    assert result.totals["flops"] == old.totals["flops"]
    assert sum_of(result.groups, "params") == result.totals["params"]
    assert sum_of(result.groups, "flops") == result.totals["flops"]


def test_a_ratchet_of_guarded_modules() -> None:
    old = snapshot_of(profile(linear("head", 4, 4)), globs=("head",))
    new = snapshot_of(profile(linear("head", 4, 3), linear("tail", 99, 99)), globs=("head",))
    result = ratcheted({"a": old}, {"a": new})["a"]
    assert result.modules["head"]["params"] == 15
    assert result.totals == old.totals


rows = st.lists(
    st.builds(
        lambda path, width, flops, memory: row(
            path, params=width, flops=flops, memory=memory, attrs={"in_features": width, "out_features": 1}
        ),
        st.lists(st.sampled_from(["a", "0", "1", "fc"]), min_size=1, max_size=3).map(".".join),
        st.integers(0, 3),
        st.integers(0, 99),
        st.integers(0, 99),
    ),
    max_size=12,
)


@given(rows, rows)
def test_after_a_ratchet_groups_still_sum_to_totals_that_never_grew(
    before: list[ModuleRecord], after: list[ModuleRecord]
) -> None:
    old, new = snapshot_of(profile(*before)), snapshot_of(profile(*after))
    result = ratcheted({"a": old}, {"a": new})["a"]
    for metric in SUMMED_METRICS:
        assert result.totals[metric] == min(old.totals[metric], new.totals[metric])
        assert sum_of(result.groups, metric) == result.totals[metric]
    assert read_baseline(write_baseline({"a": result}))["a"] == result
