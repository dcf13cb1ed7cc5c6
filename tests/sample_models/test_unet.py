"""The U-Net: sizes of each scale, skips, parameters by hand."""

import pytest
import torch

from sample_models.unet import unet
from tests.sample_models.building import count_parameters


def _double(channels, filters):
    """3×3 convolutions without bias and two batch norms."""
    return 9 * channels * filters + 9 * filters * filters + 4 * filters


def test_parameters_by_hand():
    down = _double(3, 16) + _double(16, 32) + _double(32, 64) + _double(64, 128)
    expand = sum(4 * 2 * width * width + width for width in (16, 32, 64))
    up = _double(128, 64) + _double(64, 32) + _double(32, 16)
    assert count_parameters(unet()) == down + expand + up + (16 * 2 + 2) == 482_754


def test_output_keeps_the_image_size():
    assert unet(channels=1, width=4, depth=2, num_classes=5)(torch.ones(1, 1, 12, 20)).shape == (1, 5, 12, 20)


def test_scales_of_the_bottom():
    model, seen = unet(width=4), []
    model.down[3].register_forward_hook(lambda module, args, output: seen.append(tuple(output.shape)))
    model(torch.ones(2, 3, 32, 32))
    assert seen == [(2, 32, 4, 4)]


def test_the_first_skip_reaches_the_last_block():
    model, features = unet(width=4), {}
    model.down[0].register_forward_hook(lambda module, args, output: features.update(skip=output))
    model.up[2].register_forward_pre_hook(lambda module, args: features.update(joined=args[0]))
    model(torch.ones(2, 3, 32, 32))
    assert torch.equal(features["joined"][:, :4], features["skip"])


def test_sides_must_halve_evenly():
    with pytest.raises(RuntimeError, match="Sizes of tensors must match"):
        unet()(torch.ones(1, 3, 20, 20))
