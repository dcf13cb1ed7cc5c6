"""The broken models break as they say, and where they say."""

import pytest
import torch

from sample_models.broken import needs_another_shape, raises_in_init, raises_mid_forward, returns_no_tensor
from tests.sample_models.building import example_call

DEVICES = ["cpu", "meta"]


@pytest.mark.parametrize("device", DEVICES)
def test_raises_in_init(device):
    with pytest.raises(RuntimeError, match="the codebook file is missing"), torch.device(device):
        raises_in_init()


@pytest.mark.parametrize("device", DEVICES)
def test_raises_in_the_second_gate(device):
    with torch.device(device):
        model, features = raises_mid_forward(), torch.ones(2, 16)
    entered = []
    for path, module in model.named_modules():
        module.register_forward_pre_hook(lambda module, args, path=path: entered.append(path))
    with pytest.raises(RuntimeError, match="the gate has no calibration"):
        model(features)
    assert entered[-1] == "blocks.1.gate"
    assert "blocks.2" not in entered


def test_needs_another_shape():
    model, (args, _) = needs_another_shape(), example_call("needs_another_shape")
    with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        model(*args)
    assert model(torch.ones(1, 3, 32, 32)).shape == (1, 10)


@pytest.mark.parametrize("device", DEVICES)
def test_returns_no_tensor(device):
    with torch.device(device):
        assert returns_no_tensor()(torch.ones(1, 16)) == {"shape": "(1, 16)"}
