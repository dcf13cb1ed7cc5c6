"""Where torch takes the fused fast paths of ``nn``, the peak is theirs; work and modules are those of the parts."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import torchstat_cli as ms

TOKENS = torch.randn(2, 64, 32)
PADDING = torch.zeros(2, 64, dtype=torch.bool)
CAUSAL = torch.ones(64, 64, dtype=torch.bool).triu(1)


class Attention(nn.Module):
    """Of a sequence with itself."""

    def __init__(self, heads: int = 4, batch_first: bool = True, **options: Any) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(32, heads, batch_first=batch_first)
        self.options = options

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.inner(x, x, x, **self.options)[0]
        return result


def encoder(depth: int = 2, **options: Any) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, **options)
    return nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)


MODELS = {
    "encoder": encoder(),
    "norm first, GELU": encoder(norm_first=True, activation="gelu"),
    "an activation without a fast path": encoder(activation=nn.functional.silu),
    "biasless": encoder(bias=False),
    "weights": Attention(),
    "no weights": Attention(need_weights=False),
    "weights of every head": Attention(average_attn_weights=False),
    "padding": Attention(need_weights=False, key_padding_mask=PADDING),
    "a Boolean mask": Attention(attn_mask=CAUSAL),
    "both": Attention(attn_mask=CAUSAL, key_padding_mask=PADDING),
    "numbers as a mask": Attention(attn_mask=torch.zeros(64, 64)),
    "an odd number of heads": Attention(heads=1, need_weights=False),
    "sequence first": Attention(batch_first=False, need_weights=False),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_peak_is_of_what_torch_runs(name: str) -> None:
    model = MODELS[name].eval()
    real = ms.profile(model, TOKENS, memory=True, device="cpu")
    simulated = ms.profile(model, TOKENS, memory=True)
    assert real.memory is not None
    assert real.memory.measured is not None
    assert simulated.total == real.total
    # The CPU's own flash kernel, on the slow path, holds the scores of a block of rows for each thread.
    blocks = 2 * (32 * 64 + 2 * 32 + 32 * 32) * 4 + 64
    assert 0 <= real.memory.measured - (simulated.total.peak or 0) <= blocks
    if "fast" not in name and name not in ("biasless", "numbers as a mask", "an odd number of heads", "sequence first"):
        assert simulated.total.peak == real.memory.measured


def test_scores_are_there_on_the_fast_path_alone() -> None:
    scores = 2 * 4 * 64 * 64 * 4  # bytes
    model = encoder().eval()
    fast = ms.profile(model, TOKENS, memory=True)
    hooked = model.layers[0].register_forward_hook(lambda *_: None)  # torch takes no fast path around a hook
    slow = ms.profile(model, TOKENS, memory=True)
    hooked.remove()
    assert (fast.total.peak or 0) - (slow.total.peak or 0) <= scores
    switched = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        off = ms.profile(model, TOKENS, memory=True)
    finally:
        torch.backends.mha.set_fastpath_enabled(switched)
    assert (fast.total.peak or 0) - (off.total.peak or 0) > scores / 2
    assert off.total.flops == fast.total.flops == slow.total.flops


def test_rows_and_operators_are_those_of_the_parts() -> None:
    model = encoder().eval()
    plain, watched = ms.profile(model, TOKENS), ms.profile(model, TOKENS, memory=True)
    assert [(row.path, row.calls, row.flops, row.madds) for row in plain.rows] == [
        (row.path, row.calls, row.flops, row.madds) for row in watched.rows
    ]
    assert {operator.op for operator in plain.operators} == {operator.op for operator in watched.operators}
    assert watched.memory is not None
    assert watched.memory.peak.op == "aten._transformer_encoder_layer_fwd"


def test_with_a_fused_kernel_of_a_gpu_there_are_no_scores() -> None:
    peaks = {
        backend: ms.profile(encoder().eval(), TOKENS, memory=True, attention=backend).total.peak or 0
        for backend in ("auto", "math", "efficient")
    }
    scores = 2 * 4 * 64 * 64 * 4
    assert peaks["auto"] == peaks["math"]
    assert peaks["math"] - peaks["efficient"] > scores / 2


def test_nothing_is_left_behind() -> None:
    forward, hooks = nn.TransformerEncoderLayer.forward, dict(nn.Linear(1, 1)._forward_hooks)
    model = encoder().eval()
    name = torch.utils.backend_registration._privateuse1_backend_name
    ms.profile(model, TOKENS, memory=True)
    with pytest.raises(ms.ModelstatError):
        ms.profile(model, torch.randn(2, 64, 33), memory=True)
    assert nn.TransformerEncoderLayer.forward is forward
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.utils.backend_registration._privateuse1_backend_name == name
    assert all(dict(module._forward_hooks) == hooks for module in model.modules())


FIRST = """
import torch, torchstat_cli as ms
from torch import nn
model = nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 4).eval()
peaks = [ms.profile(model, torch.randn(2, 64, 32), memory=True).total.peak for _ in range(2)]
trained = [ms.profile(model, torch.randn(2, 64, 32), memory=True, train=True).total.peak for _ in range(2)]
print(*peaks, *trained)
"""


def test_the_first_profile_of_a_process_has_the_peak_of_the_second() -> None:
    # torch's own kernel for layer norm on meta loads the compiler, whose frames hold what is alive meanwhile.
    output = subprocess.run([sys.executable, "-c", FIRST], check=True, capture_output=True, text=True).stdout
    first, second, trained, again = output.split()
    assert (first, trained) == (second, again)
