from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from tests.gate.profiles import blocks, linear, row
from torchstat_cli.gate.layer_groups import layer_groups, signature
from torchstat_cli.gate.metrics import SUMMED_METRICS, metric_sums


def test_blocks_of_a_transformer_fold_into_one_group_per_layer() -> None:
    groups = layer_groups((*blocks(12, 192, 768), linear("head", 192, 1000)))
    assert list(groups) == ["blocks.*.mlp.0", "blocks.*.mlp.2", "head"]
    (up,) = groups["blocks.*.mlp.0"]
    assert (up.signature, up.count) == ("Linear 192->768", 12)
    assert up.sums == {
        "params": 12 * (192 * 768 + 768),  # 1778688
        "trainable": 12 * (192 * 768 + 768),
        "flops": 12 * (2 * 192 * 768 + 768),
        "madds": 12 * 192 * 768,
        "memory": 12 * 4 * 768,
    }


def test_unlike_siblings_do_not_repeat() -> None:
    """In vit-pytorch ``layers.N.0`` is attention and ``layers.N.1`` the feed-forward part."""
    rows = [
        layer
        for block in range(3)
        for layer in (linear(f"layers.{block}.0.to_qkv", 8, 24), linear(f"layers.{block}.1.net.1", 8, 32))
    ]
    assert list(layer_groups(tuple(rows))) == ["layers.*.0.to_qkv", "layers.*.1.net.1"]


def test_a_partner_below_stars_the_whole_block() -> None:
    """Only the first block of a ResNet stage has a downsample."""
    rows = (
        row(
            "layer2.0.conv1",
            "Conv2d",
            attrs={"in_channels": 64, "out_channels": 128, "kernel_size": (3, 3), "stride": (2, 2)},
        ),
        row("layer2.0.downsample.0", "Conv2d", attrs={"in_channels": 64, "out_channels": 128, "kernel_size": (1, 1)}),
        row("layer2.1.conv1", "Conv2d", attrs={"in_channels": 128, "out_channels": 128, "kernel_size": (3, 3)}),
    )
    groups = layer_groups(rows)
    assert list(groups) == ["layer2.*.conv1", "layer2.*.downsample.0"]
    assert [group.signature for group in groups["layer2.*.conv1"]] == ["Conv2d 128->128 3x3", "Conv2d 64->128 3x3 /2"]


def test_the_last_index_of_a_leaf_says_which_layer_is_meant() -> None:
    assert list(layer_groups((row("net.3", "Dropout"), row("net.5", "Dropout")))) == ["net.3", "net.5"]


def test_nested_repeats() -> None:
    rows = tuple(linear(f"stages.{stage}.blocks.{block}.fc", 8, 8) for stage in range(2) for block in range(3))
    groups = layer_groups(rows)
    assert {path: group[0].count for path, group in groups.items()} == {"stages.*.blocks.*.fc": 6}


def test_direct_rows_have_their_own_group() -> None:
    rows = (row("", "Net", "direct", params=5), *(row(f"layer1.{n}", "Block", "direct", flops=7) for n in range(2)))
    groups = layer_groups(rows)
    assert {path: (group[0].signature, group[0].count) for path, group in groups.items()} == {
        "": ("Net (direct)", 1),
        "layer1.*": ("Block (direct)", 2),
    }


def test_signatures() -> None:
    convolution = {"in_channels": 8, "out_channels": 8, "kernel_size": [3, 5], "stride": [2, 1], "groups": 8}
    assert signature(row("x", "Conv2d", attrs=convolution)) == "Conv2d 8->8 3x5 /2x1 groups 8"
    assert signature(row("x", "LayerNorm", attrs={"normalized_shape": (192,)})) == "LayerNorm 192"
    assert signature(row("x", "Embedding", attrs={"num_embeddings": 1000, "embedding_dim": 8})) == "Embedding 1000x8"
    assert signature(row("x", "LSTM", attrs={"input_size": 4, "hidden_size": 9})) == "LSTM 4->9"
    assert signature(row("x", "ReLU")) == "ReLU"


paths = st.lists(st.sampled_from(["a", "b", "0", "1", "2", "net"]), max_size=4).map(".".join)
rows_strategy = st.lists(
    st.builds(
        lambda path, kind, type, params, flops: row(path, type, kind, params=params, flops=flops),
        paths,
        st.sampled_from(["leaf", "direct"]),
        st.sampled_from(["Linear", "ReLU"]),
        st.integers(0, 10**12),
        st.integers(0, 10**12),
    ),
    max_size=30,
).map(tuple)


@given(rows_strategy)
def test_groups_sum_to_the_rows(rows: tuple) -> None:  # type: ignore[type-arg]
    groups = [group for found in layer_groups(rows).values() for group in found]
    assert sum(group.count for group in groups) == len(rows)
    for metric in SUMMED_METRICS:
        assert sum(group.sums.get(metric, 0) for group in groups) == metric_sums(list(rows))[metric]


@given(rows_strategy, st.randoms())
def test_the_order_of_rows_does_not_matter(rows: tuple, shuffle: random.Random) -> None:  # type: ignore[type-arg]
    other = list(rows)
    shuffle.shuffle(other)
    assert layer_groups(tuple(other)) == layer_groups(rows)
