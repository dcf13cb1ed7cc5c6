"""Tell the module of work that no running module does: the backward pass, and the optimiser's step."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from torchstat_cli.capture.instrumentation.leaves import Site
from torchstat_cli.torch_access.internals import current_autograd_node, sequence_number

_ACCUMULATE_GRAD = 1 << 63  # torch numbers the nodes that add into .grad with the largest integer


class BackwardAttribution:
    """Gives each backward operator to the module whose forward made its autograd node.

    torch numbers autograd nodes in the order in which they are made, so the numbers at which the running module changed
    say to whom each node belongs, at no cost per operator. A forward that is run again within the backward pass
    (activation checkpointing) has running modules of its own.

    Args:
        running: stack of running module indices, kept by the capture hooks.
        owners: the module index of each parameter, by the parameter's id.
    """

    def __init__(self, running: list[int], owners: Mapping[int, int]) -> None:
        self._running = running
        self._owners = owners
        self._starts = [0]  # numbers of the first autograd node …
        self._modules = [0]  # … that each of these modules made
        self.last = 0  # the module located last

    def entered(self, index: int) -> None:
        """The module ``index`` begins to run."""
        self._note(index)

    def left(self, index: int) -> None:
        """The module ``index`` has ended; its caller runs on."""
        self._note(self._running[-1])

    def _note(self, module: int) -> None:
        self._starts.append(sequence_number())
        self._modules.append(module)

    def locate(self, args: tuple[Any, ...]) -> int:
        """The index of the module that the operator now running belongs to."""
        self.last = self._locate()
        return self.last

    def _locate(self) -> int:
        if len(self._running) > 1:
            return self._running[-1]
        node: Any = current_autograd_node()
        if node is None:
            return 0
        number = node._sequence_nr()
        if number >= _ACCUMULATE_GRAD:
            return self._owners.get(id(node.variable), 0)
        return self._modules[bisect_right(self._starts, number) - 1]


class StepAttribution:
    """Gives each operator of an optimiser's step to the module of the parameter that it works on.

    Optimisers go through their parameters one by one; an operator on nothing but temporaries belongs to the parameter
    before. Operators on lists of many parameters belong to the root.
    """

    def __init__(self, owners: Mapping[int, int], optimizer: torch.optim.Optimizer) -> None:
        self._owner = dict(owners)
        self._last = 0
        for parameter, state in optimizer.state.items():
            for value in state.values():
                if isinstance(value, torch.Tensor):
                    self._owner[id(value)] = self._owner.get(id(parameter), 0)
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._owner[id(parameter.grad)] = self._owner.get(id(parameter), 0)

    def locate(self, args: tuple[Any, ...]) -> int:
        """The index of the module that the operator now running belongs to."""
        if args and isinstance(args[0], (list, tuple)) and len(args[0]) > 1:
            return 0
        for value in args:
            if isinstance(value, torch.Tensor) and id(value) in self._owner:
                self._last = self._owner[id(value)]
                break
        return self._last


def parameter_owners(sites: Iterable[Site]) -> dict[int, int]:
    """The index of the module that first registers each parameter, by the parameter's id."""
    owners: dict[int, int] = {}
    for index, site in enumerate(sites):
        for parameter in _own_parameters(site.module):
            owners.setdefault(id(parameter), index)
    return owners


def _own_parameters(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module._parameters.values() if parameter is not None]
