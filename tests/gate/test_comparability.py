"""The layer on which naive counts disagree: 0, 16 777 216 or 17 956 864 FLOPs, by device, mode and hooks.

``TransformerEncoderLayer(64, 4)`` on 16 tokens, batch 2. Its contractions, at 2 FLOPs per MAdd: projections in
2·32·64·192 = 786 432, scores and values 2·2·(2·4)·16·16·16 = 131 072, projection out 2·32·64·64 = 262 144, feed-forward
2·2·32·64·2048 = 16 777 216.
"""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import nn

from torchstat_cli.api import profile
from torchstat_cli.gate.baseline.snapshot import snapshot_of

CONTRACTIONS = 786_432 + 131_072 + 262_144 + 16_777_216


@pytest.mark.parametrize("hooked", [False, True])
@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_the_same_layer_counts_the_same(mode: Literal["eval", "train"], device: str, hooked: bool) -> None:
    layer = nn.TransformerEncoderLayer(64, 4, batch_first=True)
    if hooked:
        for module in layer.modules():
            module.register_forward_hook(lambda *arguments: None)
    snapshot = snapshot_of(profile(layer, torch.zeros(2, 16, 64), mode=mode, device=device))
    assert 2 * snapshot.totals["madds"] == CONTRACTIONS == 17_956_864
    assert snapshot.unknown == ()
