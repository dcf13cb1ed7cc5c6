"""The multilayer perceptron."""

from torch import nn

from sample_models.mlp import mlp
from tests.sample_models.building import count_parameters


def test_parameters_by_hand():
    assert count_parameters(mlp()) == (784 * 256 + 256) + (256 * 256 + 256) + (256 * 10 + 10) == 269_322


def test_depth_counts_hidden_layers():
    assert [type(layer) for layer in mlp(depth=1)] == [nn.Linear, nn.ReLU, nn.Linear]
    assert [layer.out_features for layer in mlp(depth=3, width=5)[::2]] == [5, 5, 5, 10]
