"""The LSTM classifier reads both directions to their ends."""

import torch

from sample_models.recurrent import lstm_classifier
from tests.sample_models.building import count_parameters


def _direction(width, hidden):
    """Four gates, each with input weights, recurrent weights and two biases."""
    return 4 * hidden * (width + hidden) + 2 * 4 * hidden


def test_parameters_by_hand():
    lstm = 2 * _direction(32, 64) + 2 * _direction(2 * 64, 64)
    assert count_parameters(lstm_classifier()) == 1000 * 32 + lstm + (2 * 64 * 5 + 5) == 182_149


def test_logits_come_from_the_last_state_of_each_direction():
    model, ids = lstm_classifier(hidden=6).eval(), torch.arange(10).view(2, 5)
    outputs, _ = model.lstm(model.embedding(ids))
    ends = torch.cat((outputs[:, -1, :6], outputs[:, 0, 6:]), dim=-1)
    torch.testing.assert_close(model(ids), model.head(ends))
