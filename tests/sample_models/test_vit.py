"""The vision transformer: size of the published one, attention equal to torch's own module."""

import pytest
import torch
from torch import nn

from sample_models.vit import SelfAttention, vit, vit_tiny
from tests.libraries import import_timm, import_torchvision
from tests.sample_models.building import count_parameters


def test_parameters_by_hand():
    with torch.device("meta"):
        model = vit()
    # Linear layers of a block: 768 × 3 · 768, 768 × 768, 768 × 4 · 768 and back, with biases; two layer norms.
    block = 12 * 768 * 768 + (3 + 1 + 4 + 1) * 768 + 2 * 2 * 768
    patches, positions, head = 3 * 16 * 16 * 768 + 768, (14 * 14 + 1) * 768, 768 * 1000 + 1000
    assert count_parameters(model) == 12 * block + patches + 768 + positions + 2 * 768 + head == 86_567_656


@pytest.mark.libraries
def test_parameters_equal_torchvisions():
    torchvision = import_torchvision()
    with torch.device("meta"):
        assert count_parameters(vit()) == count_parameters(torchvision.models.vit_b_16())


@pytest.mark.libraries
def test_tiny_parameters_equal_timms():
    timm = import_timm()
    with torch.device("meta"):
        assert count_parameters(vit_tiny()) == count_parameters(timm.create_model("vit_tiny_patch16_224"))


def test_the_root_owns_token_and_positions():
    with torch.device("meta"):
        model = vit_tiny()
    own = {name: tuple(parameter.shape) for name, parameter in model.named_parameters(recurse=False)}
    assert own == {"class_token": (1, 1, 192), "position_embedding": (1, 197, 192)}


def test_attention_equals_torchs_module():
    ours, theirs = SelfAttention(16, 4), nn.MultiheadAttention(16, 4, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.qkv.weight,
            "in_proj_bias": ours.qkv.bias,
            "out_proj.weight": ours.projection.weight,
            "out_proj.bias": ours.projection.bias,
        }
    )
    tokens = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(tokens), theirs(tokens, tokens, tokens)[0])


def test_patches_must_tile_the_image():
    with pytest.raises(ValueError, match="patches of 16 pixels do not tile an image of 225 pixels"):
        vit_tiny(image_size=225)
