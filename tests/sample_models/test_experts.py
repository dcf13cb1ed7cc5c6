"""Both forms of the mixture of experts compute the same."""

import pytest
import torch

from sample_models.experts import mixture_of_experts, routed_experts
from tests.sample_models.building import count_parameters


def _tokens():
    return torch.randn(8, 32, generator=torch.Generator().manual_seed(0))


def test_parameters_by_hand():
    assert count_parameters(mixture_of_experts()) == 32 * 4 + 4 * 32 * 64 + 4 * 64 * 32 == 16_512


@pytest.mark.parametrize("top_k", [1, 2, 4])
def test_routed_and_batched_agree(top_k):
    batched, routed = mixture_of_experts(top_k=top_k), routed_experts(top_k=top_k)
    routed.load_state_dict(batched.state_dict())
    torch.testing.assert_close(routed(_tokens()), batched(_tokens()))


def test_gates_choose_the_two_best_experts():
    model = mixture_of_experts()
    gates = model.gates(_tokens())
    torch.testing.assert_close(gates.sum(dim=-1), torch.ones(8))
    assert (gates > 0).sum(dim=-1).tolist() == [2] * 8
    assert torch.equal(gates.argmax(dim=-1), model.router(_tokens()).argmax(dim=-1))


def test_no_more_experts_than_there_are():
    with pytest.raises(ValueError, match="each token goes to 5 of 4 experts"):
        mixture_of_experts(top_k=5)
