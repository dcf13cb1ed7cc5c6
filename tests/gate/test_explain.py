from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.gate.profiles import blocks, linear, profile, row
from torchstat_cli.gate.explain import Explanation, explain
from torchstat_cli.gate.layer_groups import layer_groups
from torchstat_cli.gate.metrics import SUMMED_METRICS, metric_sums
from torchstat_cli.records import ModuleRecord, Profile


def explained(before: Profile, after: Profile, metrics: tuple[str, ...] = ("params", "flops")) -> Explanation:
    return explain(layer_groups(before.rows), layer_groups(after.rows), metrics)


def test_a_wider_feed_forward_part() -> None:
    """The reference case: 12 blocks, 192 wide, hidden 768 -> 1024; the other layers are untouched."""
    before = profile(*blocks(12, 192, 768), linear("head", 192, 1000))
    after = profile(*blocks(12, 192, 1024), linear("head", 192, 1000))
    explanation = explained(before, after)
    assert explanation.groups == 3
    up, down = explanation.changes
    assert (up.path, down.path) == ("blocks.*.mlp.0", "blocks.*.mlp.2")
    # 12 · 256 · (192 weights + 1 bias) and 12 · 256 · 192 weights
    assert (up.deltas["params"], down.deltas["params"]) == (592_896, 589_824)
    assert up.description == "12 x Linear 192->768  is now 192->1024"
    assert down.description == "12 x Linear 768->192  is now 1024->192"
    assert {up.kind, down.kind} == {"changed"}


def test_one_block_more() -> None:
    explanation = explained(profile(*blocks(12, 4, 8)), profile(*blocks(13, 4, 8)))
    assert [change.description for change in explanation.changes] == [
        "12 x Linear 4->8  is now 13 x",
        "12 x Linear 8->4  is now 13 x",
    ]


def test_one_block_of_many_widened() -> None:
    after = (*blocks(2, 4, 8), linear("blocks.2.mlp.0", 4, 16), linear("blocks.2.mlp.2", 16, 4))
    up, _ = explained(profile(*blocks(3, 4, 8)), profile(*after)).changes
    assert up.description == "3 x Linear 4->8  is now 1 x Linear 4->16, 2 x Linear 4->8"
    assert up.deltas["params"] == (16 - 8) * (4 + 1)


def test_another_kind_of_layer() -> None:
    before, after = profile(row("act", "ReLU", flops=8)), profile(row("act", "GELU", flops=80))
    (change,) = explained(before, after).changes
    assert change.description == "1 x ReLU  is now GELU"


def test_added_and_removed() -> None:
    explanation = explained(profile(linear("old", 4, 4)), profile(linear("new", 8, 8)))
    assert [(change.kind, change.path, change.description) for change in explanation.changes] == [
        ("added", "new", "1 x Linear 8->8"),
        ("removed", "old", "1 x Linear 4->4"),
    ]


def test_the_same_layers_on_more_work() -> None:
    (change,) = explained(profile(row("conv", flops=8)), profile(row("conv", flops=32))).changes
    assert (change.description, change.deltas["flops"]) == ("1 x Linear", 24)


def test_parameters_and_operators_outside_leaves_are_explained_too() -> None:
    before = profile(row("", "Net", "direct", params=5, flops=7), linear("head", 4, 4))
    after = profile(row("", "Net", "direct", params=9, flops=70), linear("head", 4, 4))
    (change,) = explained(before, after).changes
    assert (change.path, change.deltas["params"], change.deltas["flops"]) == ("", 4, 63)


def test_nothing_changed() -> None:
    same = profile(*blocks(3, 4, 8))
    assert explained(same, same) == Explanation((), 2)


def test_largest_share_first() -> None:
    before = profile(linear("a", 1, 1), linear("b", 1, 1), row("c", flops=1))
    after = profile(linear("a", 1, 2), linear("b", 9, 9), row("c", flops=10**6))
    assert [change.path for change in explained(before, after).changes] == ["b", "c", "a"]
    assert [change.path for change in explained(before, after, ("flops",)).changes] == ["c", "b", "a"]


rows = st.lists(
    st.builds(
        lambda path, kind, width, flops: row(
            path, "Linear", kind, params=width, flops=flops, attrs={"in_features": width, "out_features": 2}
        ),
        st.lists(st.sampled_from(["a", "b", "0", "1", "2"]), max_size=3).map(".".join),
        st.sampled_from(["leaf", "direct"]),
        st.integers(0, 3),
        st.integers(0, 10**15),
    ),
    max_size=20,
)


@given(rows, rows)
def test_deltas_sum_exactly_to_the_change_of_the_totals(before: list[ModuleRecord], after: list[ModuleRecord]) -> None:
    explanation = explained(profile(*before), profile(*after))
    old, new = metric_sums(before), metric_sums(after)
    for metric in SUMMED_METRICS:
        assert sum(change.deltas[metric] for change in explanation.changes) == new[metric] - old[metric]
