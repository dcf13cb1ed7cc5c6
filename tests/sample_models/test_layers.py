"""The shared parts: initialisation, embeddings, splitting into heads."""

import torch

from sample_models.layers import embedding, merge_heads, split_heads, weight


def test_weight_stays_within_glorots_bound():
    values = weight(3, 10, 14)
    assert values.shape == (3, 10, 14)
    assert values.requires_grad
    assert 0.4 < values.abs().max() <= 0.5  # sqrt(6 / (10 + 14)) = 0.5


def test_embedding_is_trainable():
    layer = embedding(7, 4)
    assert layer.weight.shape == (7, 4)
    assert layer.weight.is_leaf
    assert layer.weight.requires_grad


def test_heads_split_without_a_copy_and_merge_back():
    tokens = torch.arange(2 * 5 * 12).view(2, 5, 12)
    split = split_heads(tokens, 3)
    assert split.shape == (2, 3, 5, 4)
    assert split[1, 2, 3].tolist() == tokens[1, 3, 8:].tolist()
    assert split.data_ptr() == tokens.data_ptr()
    assert torch.equal(merge_heads(split), tokens)
