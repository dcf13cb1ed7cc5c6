"""Exact contractions of a model, counted by torch and not by us.

torch's FlopCounterMode misses fused kernels (attention and recurrence on the CPU, torch's encoder in eval mode); on
meta tensors these fall apart into products that it knows. Under fake tensors transformers' models skip the questions
that need values. The products of these models without a rule, grouped ones of experts and those in distances,
get their own here.
"""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.subjects import Subject


def exact_madds(subject: Subject) -> int:
    """Multiply-accumulates of one forward pass."""
    model, inputs = subject.model("meta"), subject.inputs("meta")
    # The grouped product wants bfloat16 on meta; for the count all floating dtypes are alike.
    model = model.to(torch.bfloat16)
    inputs = tuple(tensor.to(torch.bfloat16) if tensor.is_floating_point() else tensor for tensor in inputs)
    counter = FlopCounterMode(display=False, custom_mapping=LACKING)
    with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True), counter:
        model(*inputs)
    return int(counter.get_total_flops()) // 2


def _grouped_product(tokens: tuple[int, ...], weights: tuple[int, ...], *_: Any, **__: Any) -> int:
    """Rows ``(T, K)``, each times one of the matrices ``(E, K, N)``: 2 T K N."""
    return 2 * tokens[0] * tokens[1] * weights[2]


def _distances(one: tuple[int, ...], other: tuple[int, ...], *_: Any, **__: Any) -> int:
    """``cdist`` of order 2: vectors ``(B, P, K)`` and ``(B, R, K)``, each with 2 columns for norms: 2 B P R (K + 2)."""
    return 2 * prod(one[:-2]) * one[-2] * other[-2] * (one[-1] + 2)


LACKING: dict[Any, Any] = {
    torch.ops.aten._grouped_mm: _grouped_product,
    torch.ops.aten._euclidean_dist: _distances,
}
"""Rules for products that FlopCounterMode counts as nothing."""
