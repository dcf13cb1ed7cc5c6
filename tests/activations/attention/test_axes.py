"""Maps come as (batch, heads, queries, keys), however the model lays its heads out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from torchstat_cli.activations.attention.axes import arranged
from torchstat_cli.activations.attention.owners import Owner

MAP = torch.rand(2, 4, 5, 6)  # batch, heads, queries, keys


@pytest.mark.parametrize(
    ("laid_out", "owner"),
    [
        (MAP, Owner("", 4)),
        (MAP, Owner("")),
        (MAP.flatten(0, 1), Owner("", 4)),
        (MAP.flatten(0, 1), Owner("", 4, given=(2, 5))),
        (MAP.flatten(0, 1), Owner("", 4, given=(5, 2))),
        (MAP.transpose(1, 2), Owner("", 4)),
        (MAP.transpose(0, 1), Owner("", 4)),
        (MAP.unflatten(1, (2, 2)), Owner("", 4, groups=2)),
        (MAP.unflatten(1, (2, 2)).flatten(2, 3), Owner("", 4, groups=2)),
        (MAP.unflatten(1, (1, 4)).flatten(2, 3), Owner("", 4, groups=4)),
        (MAP[:, :, :4].transpose(1, 2), Owner("", 4, windowed=True)),
    ],
    ids=[
        "as wanted",
        "nothing known",
        "folded",
        "folded, batch first",
        "folded, tokens first",
        "behind the queries",
        "first",
        "split by key heads",
        "packed into the queries",
        "one key head",
        "window as wide as there are heads",
    ],
)
def test_every_layout_comes_out_the_same(laid_out: Tensor, owner: Owner) -> None:
    maps, has_heads = arranged(laid_out, owner)
    assert has_heads
    assert torch.equal(maps, MAP[:, :, :4] if owner.windowed else MAP)


def test_blocks_of_queries_keep_the_heads_third_from_the_end() -> None:
    blocks = torch.rand(2, 4, 3, 5, 6)  # batch, heads, blocks, queries, keys
    assert torch.equal(arranged(blocks, Owner("", 4))[0], blocks.transpose(1, 2))


@pytest.mark.parametrize(
    ("laid_out", "owner"),
    [
        (torch.rand(4, 5, 6), Owner("")),
        (torch.rand(3, 5, 6), Owner("", 2)),
        (torch.rand(4, 5, 6), Owner("", 2, given=(4, 5))),
        (torch.rand(4, 5, 6), Owner("", 2, given=(5, 4))),
        (torch.rand(2, 3, 5, 6), Owner("", 4)),
    ],
    ids=["nothing known", "odd batch", "one map of each row", "one map of each row, tokens first", "no axis fits"],
)
def test_without_an_axis_of_heads_a_map_is_left_as_it_is(laid_out: Tensor, owner: Owner) -> None:
    maps, has_heads = arranged(laid_out, owner)
    assert maps is laid_out
    assert not has_heads
