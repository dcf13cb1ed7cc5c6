"""Lazy modules are initialised in a copy by the dummy input; the model itself stays lazy."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from torchstat_cli.errors import ForwardError
from torchstat_cli.loading import Inputs
from torchstat_cli.loading.lazy import initialised

ROWS = Inputs((torch.zeros(2, 4),), {})


def test_model_that_is_not_lazy_is_returned_itself() -> None:
    model = nn.Linear(4, 3)
    assert initialised(model, ROWS, on_meta=True) is model


@pytest.mark.parametrize("on_meta", [True, False])
def test_copy_has_the_shapes_that_the_input_asks_for(on_meta: bool) -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.LazyLinear(5), nn.LazyBatchNorm1d())
    copied = initialised(model, ROWS, on_meta=on_meta)
    shapes = {name: tuple(tensor.shape) for name, tensor in copied.state_dict().items()}
    assert shapes["1.weight"] == (5, 6)
    assert shapes["2.running_mean"] == (5,)
    assert all(tensor.is_meta is on_meta for tensor in (*copied.parameters(), *copied.buffers()))
    assert is_lazy(model[1].weight)
    assert is_lazy(model[2].running_mean)
    assert not model[0].weight.is_meta


def test_ties_are_kept() -> None:
    model = nn.Sequential(nn.LazyLinear(4), nn.Linear(4, 4), nn.Linear(4, 4))
    model[2].weight = model[1].weight
    copied = initialised(model, ROWS, on_meta=True)
    assert copied.get_parameter("2.weight") is copied.get_parameter("1.weight")


def test_input_that_cannot_initialise_it() -> None:
    with pytest.raises(ForwardError, match=r"lazy modules, and the call that initialises them failed: \w+Error"):
        initialised(nn.LazyConv2d(3, 3), ROWS, on_meta=True)
