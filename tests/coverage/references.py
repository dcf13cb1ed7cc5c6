"""Outside answers: what torch's own FlopCounterMode counts, under conditions in which it counts."""

from __future__ import annotations

import warnings
from contextlib import ExitStack

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.exact import LACKING
from torchstat_cli.errors import InputError
from torchstat_cli.loading import Inputs, ModelSource, default_inputs, place, place_on_cpu


def built(source: ModelSource, device: str, limit_bytes: int | None = None) -> tuple[nn.Module, Inputs]:
    """The model in eval mode and its usual inputs, both on the device; for real it may take ``limit_bytes``."""
    placed = place(source, device) if limit_bytes is None else place_on_cpu(source, limit_bytes=limit_bytes)
    inputs = default_inputs(source, device=device, dtype=torch.float32)
    if inputs is None:
        raise InputError(f"{source.spec} does not say what input it takes")
    args, kwargs = tree_map_only(torch.Tensor, lambda tensor: tensor.to(device), (inputs.args, inputs.kwargs))
    return placed.model.eval().requires_grad_(False), Inputs(args, kwargs)


def reference_madds(source: ModelSource) -> int:
    """What FlopCounterMode counts on meta, or for real where the model asks for values that meta tensors lack."""
    try:
        return counted_madds(*built(source, "meta"))
    except (RuntimeError, NotImplementedError):
        return counted_madds(*built(source, "cpu"))


def counted_madds(model: nn.Module, inputs: Inputs) -> int:
    """Half of what FlopCounterMode counts.

    It has no formula for attention on the CPU, fused encoder layers or oneDNN's recurrent kernels, so those are off,
    and their parts are counted.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
        torch.backends.mha.set_fastpath_enabled(False)
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # switching oneDNN off warns about Intel GPUs
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
        stack.enter_context(torch.no_grad())
        counter = stack.enter_context(FlopCounterMode(display=False, custom_mapping=LACKING))
        model(*inputs.args, **inputs.kwargs)
    return counter.get_total_flops() // 2
