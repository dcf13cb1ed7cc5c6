"""Mixtures of experts: how many of them each token goes to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mixture:
    """The experts that one router chooses from; shared experts, which every token goes to, are not among them."""

    path: str  # the module that holds them
    experts: int
    active: int  # experts that each token goes to
    params: int  # elements of the experts' parameters that no mixture before it counts
    active_params: int  # those among them that one token uses
    chosen_by: str  # what says how many: "topk of moe.router", "top_k of moe"
