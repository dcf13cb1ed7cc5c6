"""Steps on sparse gradients cost the rows that these store, not the table; by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import torchstat_cli as ms

ROWS, WIDTH = 20, 16
STORED = ROWS * WIDTH
IDS = torch.arange(ROWS)


class Table(nn.Module):
    def __init__(self, kind: type[nn.Module], height: int = 20_000) -> None:
        super().__init__()
        self.table = kind(height, WIDTH, sparse=True)  # type: ignore[call-arg]

    def forward(self, ids: Tensor) -> Tensor:
        return self.table(ids)  # type: ignore[no-any-return]


@pytest.mark.parametrize(("kind", "ids"), [(nn.Embedding, IDS), (nn.EmbeddingBag, IDS.view(4, 5))])
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_plain_sgd_scales_and_adds_the_stored_rows(kind: type[nn.Module], ids: Tensor, device: str) -> None:
    report = ms.profile(Table(kind), ids, train=True, device=device)
    assert report.total.training is not None
    assert report.total.training.optimizer_flops == 2 * STORED
    (step,) = [operator for operator in report.operators if operator.op == "aten.add_"]
    assert (step.mem_read, step.mem_write) == (2 * 4 * STORED, 4 * STORED)  # rows and gradient; rows
    assert report.total.mem_read + report.total.mem_write < 20_000 * WIDTH * 4 // 10


@pytest.mark.parametrize("height", [1_000, 20_000])
@pytest.mark.parametrize("optimizer", ["adagrad", torch.optim.SparseAdam])
@pytest.mark.filterwarnings("ignore:Sparse")
def test_the_height_of_the_table_costs_nothing(height: int, optimizer: object) -> None:
    report = ms.profile(Table(nn.Embedding, height), IDS, train=True, optimizer=optimizer)  # type: ignore[arg-type]
    assert report.total.training is not None
    flops = report.total.training.optimizer_flops
    assert 5 * STORED <= flops <= 16 * STORED
    moved = sum(o.mem_read + o.mem_write for o in report.operators if o.op in ("aten.add_", "aten.sparse_mask"))
    assert 0 < moved <= 30 * 4 * STORED


def test_a_clone_on_meta_keeps_its_elements() -> None:
    on_meta, real = (ms.profile(Table(nn.Embedding), IDS, train=True, device=device) for device in ("meta", "cpu"))
    clones = [[o for o in report.operators if o.op == "aten.clone"] for report in (on_meta, real)]
    assert clones[0] == clones[1]
