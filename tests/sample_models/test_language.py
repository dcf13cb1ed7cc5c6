"""The decoder language model: tied, causal, positions relative."""

import pytest
import torch

from sample_models.language import Rotary, decoder_lm
from tests.sample_models.building import count_parameters


def test_parameters_by_hand():
    # Four attention matrices, three of the gated perceptron at three times the width, two norms.
    block = 4 * 128 * 128 + 3 * 128 * 384 + 2 * 128
    assert count_parameters(decoder_lm()) == 1000 * 128 + 2 * block + 128 == 554_624


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_embeddings_are_tied(device):
    with torch.device(device):
        model = decoder_lm()
    assert model.head.weight is model.embedding.weight
    assert {"embedding.weight", "head.weight"} <= set(model.state_dict())


def test_a_later_token_changes_no_earlier_logits():
    model, ids = decoder_lm().eval(), torch.arange(12).view(1, 12)
    changed = ids.clone()
    changed[0, 8] = 99
    with torch.inference_mode():
        before, after = model(ids), model(changed)
    torch.testing.assert_close(before[:, :8], after[:, :8])
    assert (before[:, 8:] - after[:, 8:]).abs().amax(dim=-1).min() > 1e-4


def test_rotary_products_depend_on_the_distance_only():
    rotary, generator = Rotary(8, 16), torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 8, generator=generator)
    queries, keys = rotary(query.expand(1, 1, 16, 8))[0, 0], rotary(key.expand(1, 1, 16, 8))[0, 0]
    scores = queries @ keys.T
    torch.testing.assert_close(scores[1:, 1:], scores[:-1, :-1])
    torch.testing.assert_close(scores[0, 0], query @ key)


def test_rotary_turns_the_first_pair_by_one_radian_each_token():
    turned = Rotary(2, 3)(torch.tensor([1.0, 0.0]).expand(1, 1, 3, 2))
    expected = torch.tensor([[1.0, 0.0], [0.540302, 0.841471], [-0.416147, 0.909297]])
    torch.testing.assert_close(turned[0, 0], expected, atol=1e-6, rtol=0)


def test_the_rotary_tables_are_one_module_outside_the_state():
    model = decoder_lm(depth=3)
    assert len({id(block.attention.rotary) for block in model.blocks}) == 1
    # 256 positions of 128 / 4 channels, twice.
    assert sum(buffer.numel() for buffer in model.buffers()) == 2 * 256 * 32
    assert not any("rotary" in key for key in model.state_dict())


def test_rotary_needs_an_even_head():
    with pytest.raises(ValueError, match="pairs of channels, but a head has 3"):
        decoder_lm(width=12, heads=4)
