"""Attention is laid out as torch's real CPU kernels lay it out, fused or not; its meta kernel does otherwise."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from torchstat_cli.capture.dispatch.memo import Memo
from torchstat_cli.capture.dispatch.meta_kernels import infer

ATTENTION = torch.ops.aten.scaled_dot_product_attention.default
Layout = Callable[[int, int, int, int], Tensor]

LAYOUTS: dict[str, Layout] = {
    "contiguous": lambda b, h, s, d: torch.rand(b, h, s, d),
    "heads split off": lambda b, h, s, d: torch.rand(b, s, h, d).transpose(1, 2),
    "sliced from a fused qkv": lambda b, h, s, d: torch.rand(b, s, 3, h, d)[:, :, 1].transpose(1, 2),
    "sequence first": lambda b, h, s, d: torch.rand(s, b, h, d).permute(1, 2, 0, 3),
    "expanded over heads": lambda b, h, s, d: torch.rand(b, 1, s, d).expand(b, h, s, d),
    "a cut sequence": lambda b, h, s, d: torch.rand(b, h, s + 1, d)[:, :, 1:],
    "width last but one": lambda b, h, s, d: torch.rand(b, h, d, s).transpose(-1, -2),
}


def on_meta(value: Any) -> Any:
    """A tensor without memory, laid out as ``value``."""
    if not isinstance(value, Tensor):
        return value
    return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")


def layout(tensor: Tensor) -> tuple[Any, ...]:
    return tuple(tensor.shape), tensor.stride(), tensor.dtype


def check(*args: Any, **kwargs: Any) -> None:
    """The memo's answer on meta, whether by the rule or by torch's kernel, is laid out as the real result.

    Calls that the real kernels refuse must not be answered by the rule.
    """
    meta_args = tuple(on_meta(value) for value in args)
    with torch.inference_mode():
        try:
            expected = ATTENTION(*args, **kwargs)
        except (RuntimeError, IndexError):
            assert infer(ATTENTION, meta_args, kwargs) is NotImplemented
            return
        _, result = Memo().call(ATTENTION, meta_args, kwargs)
    assert layout(result) == layout(expected)


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_every_layout(name: str, dtype: torch.dtype) -> None:
    tensor = LAYOUTS[name](2, 4, 5, 8).to(dtype)
    check(tensor, tensor, tensor)
    check(tensor, tensor.contiguous(), tensor.contiguous(), None, 0.0, True)


@pytest.mark.parametrize("shape", [(5, 6), (1, 6), (2, 1, 5, 6), (1, 1, 5, 6), (2, 4, 5, 6), (2, 1, 1, 6)])
@pytest.mark.parametrize("boolean", [False, True])
def test_masks(shape: tuple[int, ...], boolean: bool) -> None:
    query, key = torch.rand(2, 5, 4, 8).transpose(1, 2), torch.rand(2, 4, 6, 8)
    mask = torch.ones(shape, dtype=torch.bool) if boolean else torch.zeros(shape)
    check(query, key, key, mask)


@pytest.mark.parametrize("shape", [(4, 5, 6), (1, 5, 6), (6,)])
def test_masks_that_the_fused_kernel_does_not_take(shape: tuple[int, ...]) -> None:
    check(torch.rand(2, 5, 4, 8).transpose(1, 2), torch.rand(2, 4, 6, 8), torch.rand(2, 4, 6, 8), torch.zeros(shape))


def test_values_of_another_width() -> None:
    query = torch.rand(2, 5, 4, 8).transpose(1, 2)
    check(query, query, torch.rand(2, 4, 5, 10))


def test_grouped_queries() -> None:
    query, key = torch.rand(2, 5, 8, 4).transpose(1, 2), torch.rand(2, 2, 5, 4)
    check(query, key, key, enable_gqa=True)
    check(query, torch.rand(2, 3, 5, 4), torch.rand(2, 3, 5, 4), enable_gqa=True)  # 8 heads are no multiple of 3


def test_three_axes_and_dropout_and_nothing_to_attend_to() -> None:
    check(torch.rand(4, 5, 8), torch.rand(4, 6, 8), torch.rand(4, 6, 8))
    query = torch.rand(2, 4, 5, 8)
    check(query, query, query, None, 0.5)
    check(query, torch.rand(2, 4, 0, 8), torch.rand(2, 4, 0, 8))


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(random=st.randoms(use_true_random=False))
def test_any_call(random: Random) -> None:
    batch, heads, width = random.choice((1, 2, 3)), random.choice((1, 2, 4)), random.choice((1, 4, 8))
    queries, keys = random.choice((1, 2, 5)), random.choice((1, 2, 5, 6))
    names = [random.choice(list(LAYOUTS)) for _ in range(3)]
    query = LAYOUTS[names[0]](batch, heads, queries, width)
    key, value = (LAYOUTS[name](batch, heads, keys, width) for name in names[1:])
    mask = random.choice((None, torch.zeros(queries, keys), torch.zeros(batch, 1, queries, keys)))
    check(query, key, value, mask, 0.0, mask is None and random.choice((False, True)))
