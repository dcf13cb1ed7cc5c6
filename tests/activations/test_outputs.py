"""Walking, copying and padding values."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from torchstat_cli.activations.outputs import (
    compact_tensor,
    copy_tensor,
    pad_nested,
    snapshot_tensor,
)
from torchstat_cli.torch_access.trees import map_tensors, tensors_in

Pair = namedtuple("Pair", ["left", "right"])


@dataclass(frozen=True)
class Box:
    content: Tensor
    label: str


def test_containers_keep_their_kind() -> None:
    one = torch.ones(1)
    value = {"pair": Pair(one, None), "list": [one, "text"], "box": Box(one, "x"), "order": OrderedDict(a=(one,))}
    doubled = map_tensors(value, lambda tensor: tensor * 2)
    assert type(doubled["pair"]) is Pair
    assert doubled["pair"].right is None
    assert type(doubled["order"]) is OrderedDict
    assert doubled["box"].label == "x"
    assert [tensor.item() for tensor in tensors_in(doubled)] == [2, 2, 2, 2]
    assert [tensor.item() for tensor in tensors_in(value)] == [1, 1, 1, 1]


def test_torchs_own_tuples() -> None:
    values = map_tensors(torch.ones(2, 2).max(dim=1), lambda tensor: tensor + 1)
    assert values.values.tolist() == [2, 2]


def test_a_copy_of_an_inference_tensor_can_train() -> None:
    with torch.inference_mode():
        copied = copy_tensor(torch.ones(2))
    weight = torch.ones(2, requires_grad=True)
    (weight * copied).sum().backward()
    assert weight.grad is not None


def test_only_views_that_hold_more_than_they_show_are_copied() -> None:
    base = torch.zeros(100)
    assert compact_tensor(base) is base
    assert compact_tensor(base.view(10, 10)).data_ptr() == base.data_ptr()
    assert compact_tensor(base[:8]).untyped_storage().nbytes() == 8 * 4


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_are_padded_with_a_mask() -> None:
    nested = torch.nested.nested_tensor([torch.ones(3, 2), torch.ones(1, 2)])
    padded, mask = pad_nested(nested)
    assert padded.shape == (2, 3, 2)
    assert mask.tolist() == [[True, True, True], [True, False, False]]
    assert padded.sum() == 8


def test_a_snapshot_shares_memory_until_somebody_writes() -> None:
    live = torch.arange(6.0).reshape(2, 3)
    kept = snapshot_tensor(live)
    live.view(-1).add_(10)  # through a view: the same memory
    assert kept.flatten().tolist() == [0, 1, 2, 3, 4, 5]
    assert live.flatten().tolist() == [10, 11, 12, 13, 14, 15]
    kept.zero_()
    assert live[0, 0] == 10


def test_a_snapshot_is_differentiable() -> None:
    weight = torch.ones(2, requires_grad=True)
    snapshot_tensor(weight * 3).sum().backward()
    assert weight.grad is not None
    assert weight.grad.tolist() == [3, 3]


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.from_numpy(np.ones(3)),
        lambda: torch.ones(3).share_memory_(),
        lambda: torch.ones(4)[:2],
        lambda: torch.ones(2).to_sparse(),
        lambda: torch.ones(2, device="meta"),
        lambda: torch.ones(1).expand(5),
        lambda: torch.empty(0),
    ],
)
def test_memory_that_cannot_be_shared_is_copied(make: Callable[[], Tensor]) -> None:
    live = make()
    kept = snapshot_tensor(live)
    assert kept.shape == live.shape
    if not live.is_meta:
        assert torch.equal(kept.to_dense(), live.to_dense())
        if live.layout == torch.strided and live._base is None and live.numel():
            live.zero_()
            assert kept.eq(1).all()


def test_a_narrow_view_is_shared_only_where_its_base_is_kept() -> None:
    base = torch.ones(100)
    assert snapshot_tensor(base[:2]).untyped_storage().nbytes() == 8
    assert snapshot_tensor(base[:2], base_is_kept=True).untyped_storage().nbytes() == 400
