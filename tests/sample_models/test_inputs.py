"""The models with several inputs."""

import torch

from sample_models.inputs import dict_input, two_inputs
from tests.sample_models.building import count_parameters, example_call


def test_parameters_by_hand():
    assert count_parameters(two_inputs()) == (3 * 4 * 4 * 32 + 32) + 1000 * 32 + (32 * 32 + 32) == 34_624
    assert count_parameters(dict_input()) == (8 * 16 + 16) + 10 * 16 + (16 + 1) == 321


def test_the_two_inputs_are_of_different_dtypes():
    (images, ids), kwargs = example_call("two_inputs")
    assert (images.dtype, ids.dtype, kwargs) == (torch.float32, torch.int64, {})


def test_similarity_is_a_cosine():
    model, (args, _) = two_inputs(), example_call("two_inputs")
    similarity = model(*args)
    assert similarity.shape == (2,)
    assert similarity.abs().max() <= 1 + 1e-6
    with torch.no_grad():
        for parameter in model.text_encoder.parameters():
            parameter.mul_(3)
    torch.testing.assert_close(model(*args), similarity)


def test_the_dictionary_is_one_positional_input():
    args, kwargs = example_call("dict_input")
    assert kwargs == {}
    assert [set(argument) for argument in args] == [{"features", "category"}]
    assert dict_input()(*args)["prediction"].shape == (4,)


def test_example_tensors_follow_the_default_device():
    with torch.device("meta"):
        (batch,), _ = dict_input.example_inputs()
    assert all(tensor.is_meta for tensor in batch.values())
