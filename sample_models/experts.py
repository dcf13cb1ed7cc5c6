"""Mixture of experts in two forms: batched, of fixed shapes, and routed, of shapes that depend on the data."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .examples import example_inputs
from .layers import weight
from .sizes import require_sizes


class Experts(nn.Module):
    """A router and the stacked two-layer perceptrons that it chooses from; the forms below differ in dispatch only."""

    def __init__(self, width: int, hidden: int, experts: int, top_k: int) -> None:
        super().__init__()
        require_sizes(width=width, hidden=hidden, experts=experts, top_k=top_k)
        if top_k > experts:
            raise ValueError(f"each token goes to {top_k} of {experts} experts; choose top_k from 1 to {experts}")
        self.top_k = top_k
        self.router = nn.Linear(width, experts, bias=False)
        self.up = weight(experts, width, hidden)
        self.down = weight(experts, hidden, width)

    def gates(self, tokens: Tensor) -> Tensor:
        """Weight of each expert for each token ``(tokens, experts)``: ``top_k`` of them sum to 1, the others are 0."""
        scores, chosen = self.router(tokens).topk(self.top_k, dim=-1)
        gates = tokens.new_zeros(tokens.shape[0], self.router.out_features)
        return gates.scatter(-1, chosen, scores.softmax(dim=-1))


class BatchedExperts(Experts):
    """Every expert computes every token and the gates pick: dear, but no shape depends on a value."""

    def forward(self, tokens: Tensor) -> Tensor:
        """``(tokens, width)`` in and out."""
        hidden = F.silu(torch.einsum("tw,ewh->teh", tokens, self.up))
        outputs = torch.einsum("teh,ehw->tew", hidden, self.down)
        return torch.einsum("tew,te->tw", outputs, self.gates(tokens))


class RoutedExperts(Experts):
    """Every expert computes only its own tokens: how many is known only once the router has run."""

    def forward(self, tokens: Tensor) -> Tensor:
        """``(tokens, width)`` in and out; needs real values."""
        gates, mixed = self.gates(tokens), torch.zeros_like(tokens)
        for expert, (up, down) in enumerate(zip(self.up, self.down, strict=True)):
            (mine,) = gates[:, expert].nonzero(as_tuple=True)
            output = F.silu(tokens[mine] @ up) @ down
            mixed = mixed.index_add(0, mine, output * gates[mine, expert, None])
        return mixed


@example_inputs("8,32")
def mixture_of_experts(width: int = 32, hidden: int = 64, experts: int = 4, top_k: int = 2) -> BatchedExperts:
    """The batched form: runs on the meta device."""
    return BatchedExperts(width, hidden, experts, top_k)


@example_inputs("8,32")
def routed_experts(width: int = 32, hidden: int = 64, experts: int = 4, top_k: int = 2) -> RoutedExperts:
    """The routed form: data dependent, so the meta device cannot run it."""
    return RoutedExperts(width, hidden, experts, top_k)
