"""Walking, copying and padding values."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from torchstat_cli.activations.values import compact_tensor, copy_tensor, map_tensors, pad_nested, tensors_in

Pair = namedtuple("Pair", ["left", "right"])


@dataclass(frozen=True)
class Box:
    content: Tensor
    label: str


def test_containers_keep_their_kind() -> None:
    one = torch.ones(1)
    value = {"pair": Pair(one, None), "list": [one, "text"], "box": Box(one, "x"), "order": OrderedDict(a=(one,))}
    doubled = map_tensors(lambda tensor: tensor * 2, value)
    assert type(doubled["pair"]) is Pair
    assert doubled["pair"].right is None
    assert type(doubled["order"]) is OrderedDict
    assert doubled["box"].label == "x"
    assert [tensor.item() for tensor in tensors_in(doubled)] == [2, 2, 2, 2]
    assert [tensor.item() for tensor in tensors_in(value)] == [1, 1, 1, 1]


def test_torchs_own_tuples() -> None:
    values = map_tensors(lambda tensor: tensor + 1, torch.ones(2, 2).max(dim=1))
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
