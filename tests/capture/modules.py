"""Small modules for tests of the capture room; a ``Linear(4, 4)`` on 2 rows costs 2 * 4 * 4 = 32 MAdds."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

ROWS = torch.linspace(-1, 1, 8).reshape(2, 4)
"""2 x 4, with known values that sum to 0."""

LINEAR = 32
"""MAdds of one ``linear()`` on ``ROWS``."""


class Custom(nn.Module):
    """A module whose forward is the given function of itself and its inputs."""

    def __init__(self, function: Callable[..., Any], **members: Any) -> None:
        super().__init__()
        self.function = function
        for name, member in members.items():
            if isinstance(member, torch.Tensor) and not isinstance(member, nn.Parameter):
                self.register_buffer(name, member)
            else:
                setattr(self, name, member)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(self, *args, **kwargs)


def linear() -> nn.Linear:
    """20 parameters."""
    return nn.Linear(4, 4)


def quietly(make: Any, *args: Any, **kwargs: Any) -> Any:
    """What torch makes with a deprecation warning that is no concern of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make(*args, **kwargs)
