"""One module called three times."""

import torch

from sample_models.shared import called_three_times
from tests.sample_models.building import count_parameters


def test_called_three_times_counted_once():
    model, calls = called_three_times(), []
    model.block.register_forward_hook(lambda module, args, output: calls.append(module))
    model(torch.ones(4, 64))
    assert len(calls) == 3
    assert count_parameters(model) == (64 * 64 + 64) + (64 * 10 + 10) == 4_810
