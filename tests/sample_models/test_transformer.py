"""torch's transformer encoder."""

import torch
from torch.utils.flop_counter import FlopCounterMode

from sample_models.transformer import transformer_encoder
from tests.sample_models.building import count_parameters


def test_parameters_by_hand():
    attention, norms = (64 * 192 + 192) + (64 * 64 + 64), 2 * 2 * 64
    feedforward = (64 * 2048 + 2048) + (2048 * 64 + 64)
    assert count_parameters(transformer_encoder()) == 2 * (attention + feedforward + norms) + 650 == 562_954


def test_contractions_of_one_layer():
    with torch.device("meta"):
        model, tokens = transformer_encoder(depth=1).train(), torch.empty(2, 16, 64)
    with FlopCounterMode(display=False) as counter:
        model(tokens)
    assert counter.get_total_flops() == 2 * (8_978_432 + 2 * 64 * 10)


def test_eval_mode_takes_the_fast_path():
    model, tokens = transformer_encoder(depth=1).eval(), torch.ones(2, 16, 64)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile, torch.inference_mode():
        model(tokens)
    assert "aten::_transformer_encoder_layer_fwd" in {event.key for event in profile.key_averages()}
