"""Maps of fused kernels against a hand-written softmax and against the kernel's own output."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from torchstat_cli.activations.attention.maps import fused_map, multihead_map
from torchstat_cli.activations.attention.subset import MapSubset


def qkv(heads: int = 2, key_heads: int | None = None, queries: int = 5, keys: int = 7) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    key_heads = key_heads or heads
    return torch.randn(2, heads, queries, 8), torch.randn(2, key_heads, keys, 8), torch.randn(2, key_heads, keys, 8)


def test_two_tokens_by_hand() -> None:
    query, key = torch.tensor([[[[1.0], [0.0]]]]), torch.tensor([[[[math.log(3.0)], [0.0]]]])
    maps = fused_map(query, key, key)  # scale 1/sqrt(1); scores log 3 and 0, then 0 and 0
    torch.testing.assert_close(maps, torch.tensor([[[[0.75, 0.25], [0.5, 0.5]]]]))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"is_causal": True},
        {"scale": 0.3},
        {"attn_mask": torch.rand(5, 7) > 0.3},
        {"attn_mask": torch.randn(2, 2, 5, 7)},
        {"attn_mask": torch.randn(2, 1, 1, 7)},
    ],
    ids=["plain", "causal", "scale", "bool mask", "relative bias", "padding bias"],
)
def test_the_map_times_the_values_is_the_kernels_output(options: dict[str, object]) -> None:
    query, key, value = qkv()
    maps = fused_map(query, key, value, **options)  # type: ignore[arg-type]
    expected = F.scaled_dot_product_attention(query, key, value, **options)  # type: ignore[arg-type]
    torch.testing.assert_close(maps @ value, expected, atol=1e-6, rtol=1e-5)


def test_grouped_queries() -> None:
    query, key, value = qkv(heads=4, key_heads=2)
    maps = fused_map(query, key, value, enable_gqa=True)
    expected = F.scaled_dot_product_attention(query, key, value, enable_gqa=True)
    torch.testing.assert_close(maps @ value.repeat_interleave(2, dim=1), expected, atol=1e-6, rtol=1e-5)


def test_a_fully_masked_row_is_zero() -> None:
    query, key, value = qkv()
    mask = torch.ones(5, 7, dtype=torch.bool)
    mask[2] = False
    assert fused_map(query, key, value, mask)[:, :, 2].eq(0).all()


def test_a_subset_is_the_same_part_of_the_whole() -> None:
    query, key, value = qkv(heads=4, key_heads=2)
    bias = torch.randn(2, 4, 5, 7)
    whole = fused_map(query, key, value, bias, enable_gqa=True)
    part = fused_map(query, key, value, bias, enable_gqa=True, subset=MapSubset([1, 3], slice(1, 4), [-1]))
    torch.testing.assert_close(part, whole[:, [1, 3]][:, :, 1:4][..., [6]])


def test_an_index_outside_says_so() -> None:
    query, key, value = qkv()
    with pytest.raises(IndexError, match="9 is no index into 2"):
        fused_map(query, key, value, subset=MapSubset(heads=[9]))


def test_half_precision_is_computed_in_single() -> None:
    query, key, value = (tensor.half() * 100 for tensor in qkv())  # scores beyond the largest half
    maps = fused_map(query, key, value)
    assert maps.dtype == torch.float16
    assert maps.isfinite().all()


@pytest.mark.parametrize("training", [True, False])
def test_multihead_maps_equal_the_modules_own(training: bool) -> None:
    torch.manual_seed(0)
    module = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)
    x = torch.randn(2, 5, 8)
    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    expected = module.eval()(x, x, x, padding, average_attn_weights=False)[1]
    module.train(training)
    state = torch.get_rng_state()
    maps = multihead_map(module, (x, x, x, padding, False), {})
    torch.testing.assert_close(maps, expected)
    assert module.dropout == 0.5
    assert torch.equal(torch.get_rng_state(), state)
