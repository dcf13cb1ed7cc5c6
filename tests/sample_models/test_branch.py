"""The branch on the data."""

import torch

from sample_models.branch import data_dependent_branch
from tests.sample_models.building import count_parameters


def test_each_sign_has_its_layer():
    model, features = data_dependent_branch(), torch.ones(2, 16)
    assert torch.equal(model(features), model.positive(features))
    assert torch.equal(model(-features), model.negative(-features))


def test_parameters_by_hand():
    assert count_parameters(data_dependent_branch()) == (16 * 64 + 64) + (64 * 4 + 4) + (16 * 4 + 4) == 1_416
