"""Functional code only."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from sample_models.functional import functional_only
from tests.sample_models.building import count_parameters


def test_no_child_modules():
    model = functional_only()
    assert list(model.children()) == []
    assert count_parameters(model) == 32 * 3 * 16 + 32 * 96 + 32 * 32 + 10 * 32 == 5_952


def test_contractions_by_hand():
    with torch.device("meta"):
        model, images = functional_only().eval(), torch.empty(1, 3, 32, 32)
    # On meta, torch chooses the unfused attention, whose two batched products its counter sees.
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(images)
    tokens, width = 64, 32
    patches = tokens * width * 3 * 16
    attention = tokens * width * 3 * width + 2 * tokens * tokens * width + tokens * width * width
    assert counter.get_total_flops() == 2 * (patches + attention + 10 * width)
