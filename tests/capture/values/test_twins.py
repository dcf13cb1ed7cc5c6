"""Stand-ins: same shape, strides, dtype and ties, no memory; and the originals are put back untouched."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.capture.modules import ROWS, Custom
from torchstat_cli.capture.values.store import ValueStore, meta_like
from torchstat_cli.capture.values.twins import copy_state, put_on_meta
from torchstat_cli.torch_access.restoring import untouched


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(2, 3),
        torch.zeros(2, 3).t(),
        torch.zeros(1, 3).expand(2, 3),
        torch.zeros(2, 3, dtype=torch.bfloat16),
        torch.zeros((), dtype=torch.bool),
        nn.Parameter(torch.zeros(2), requires_grad=False),
        nn.Parameter(torch.zeros(2)),
    ],
)
def test_twin_is_like_its_original(tensor: torch.Tensor) -> None:
    twin = meta_like(tensor)
    assert twin.is_meta
    assert (twin.shape, twin.stride(), twin.dtype) == (tensor.shape, tensor.stride(), tensor.dtype)
    assert (type(twin), twin.requires_grad) == (type(tensor), tensor.requires_grad)


def test_everything_a_module_holds_goes_to_meta_and_comes_back() -> None:
    """Ties stay ties, also those with a list of tensors outside the registries."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.BatchNorm1d(4))
    model[1].weight = model[0].weight
    model[0].cache = [model[0].weight, (torch.zeros(3), "kept")]
    model[0].anchor = torch.ones(2)
    before = {name: id(tensor) for name, tensor in model.state_dict(keep_vars=True).items()}
    with untouched(tuple(model.modules())) as reach:
        twins = put_on_meta(reach, ValueStore())
        assert all(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))
        assert model[0].weight is model[1].weight is model[0].cache[0]
        assert model[0].cache[1][0].is_meta
        assert model[0].cache[1][1] == "kept"
        assert model[0].anchor.is_meta
        assert twins[before["0.weight"]] == id(model[0].weight)
    assert {name: id(tensor) for name, tensor in model.state_dict(keep_vars=True).items()} == before
    assert model[0].anchor.tolist() == [1, 1]
    assert model[0].cache[0] is model[0].weight


def test_running_statistics_move_in_a_copy() -> None:
    model = nn.BatchNorm1d(4)
    with untouched(tuple(model.modules())) as reach:
        copy_state(reach)
        model(ROWS + 5)
        assert model.running_mean is not None
        assert model.running_mean.sum() != 0
    assert model.running_mean.tolist() == [0, 0, 0, 0]
    assert model.num_batches_tracked is not None
    assert model.num_batches_tracked.item() == 0


def test_optional_buffers_stay_none() -> None:
    model = Custom(lambda self, x: x)
    model.register_buffer("nothing", None)
    with untouched(tuple(model.modules())) as reach:
        copy_state(reach)
        assert model.nothing is None
        put_on_meta(reach, ValueStore())
        assert model.nothing is None
