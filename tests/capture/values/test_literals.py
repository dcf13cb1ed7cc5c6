"""Numbers and lists of the model's own code: meta runs take the branches that real tensors take."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import torchstat_cli as ms
from torchstat_cli.capture.values.literals import literals_keep_values
from torchstat_cli.capture.values.store import ValueStore
from torchstat_cli.errors import ForwardError


class Branch(nn.Module):
    """Two linear layers where the last or the first token is 7, else one; 4 MAdds a layer and token."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.layer(torch.zeros(*ids.shape, 2, device=ids.device))
        return self.layer(x) if 7 in ids[:, [-1, 0]] else x


@pytest.mark.parametrize(("tokens", "madds"), [([1, 2, 7], 24), ([7, 1, 1], 24), ([1, 7, 1], 12)])
def test_a_list_index_keeps_known_values(tokens: list[int], madds: int) -> None:
    report = ms.profile(Branch(), torch.tensor([tokens]))
    assert report.provenance.placement == "meta+values"
    assert report.provenance.assumptions == ()
    assert report.total.madds == madds
    on_cpu = ms.profile(Branch(), torch.tensor([tokens]), device="cpu")
    assert [(op.op, op.calls) for op in on_cpu.operators] == [(op.op, op.calls) for op in report.operators]


class Picker(nn.Module):
    """Lists of Booleans, a list alone, and an index that is no list."""

    def forward(self, table: Tensor) -> Tensor:
        return torch.cat([table[:, [True, False, True]].flatten(), table[[1]].flatten(), table[1, 1:]])


def test_boolean_lists_and_single_lists_do_too() -> None:
    report = ms.profile(Picker(), torch.arange(6).view(2, 3))
    assert report.at("").output_shape == ((4 + 3 + 2,),)
    with pytest.raises(ForwardError, match="IndexError"):
        ms.profile(Picker(), torch.arange(3))


def test_indexing_is_put_back() -> None:
    before = vars(Tensor).get("__getitem__"), Tensor.__getitem__
    with pytest.raises(RuntimeError, match="stop"), literals_keep_values(ValueStore()):
        raise RuntimeError("stop")
    assert (vars(Tensor).get("__getitem__"), Tensor.__getitem__) == before
