"""Losses whose result keeps the storage of the terms that it is the sum of."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from torchstat_cli.capture.dispatch.meta_kernels.rules import plain, rule

_NO_REDUCTION = 0


@rule("mse_loss", "smooth_l1_loss", "soft_margin_loss", corrects=True)
def _sum_of_terms(x: Tensor, target: Tensor, reduction: int = 1, *options: Any, **more: Any) -> Any:
    """The CPU makes a result for every element and shrinks it to one number."""
    if reduction == _NO_REDUCTION or not plain(x, target) or x.shape != target.shape or not x.numel():
        return NotImplemented
    return torch.empty(x.numel(), dtype=x.dtype, device="meta")[0]
