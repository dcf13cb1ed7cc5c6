"""What users pass in and get out: every kind of value is counted, or refused in one clear sentence."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import torchstat_cli as ms
from tests.capture.modules import LINEAR, ROWS, Custom, linear, quietly
from torchstat_cli.errors import InputError


def test_many_inputs_outgrow_the_metadata_buffer() -> None:
    model = nn.Sequential(Custom(lambda self, tensors: torch.stack(tensors)))
    report = ms.profile(model, [torch.zeros(2, 3) for _ in range(100)])
    assert report.at("0").input_shape == ((2, 3),) * 100
    assert report.at("0").output_shape == ((100, 2, 3),)


@dataclasses.dataclass
class Output:
    hidden: Tensor
    rest: list[Tensor]


@pytest.mark.parametrize(
    ("wrap", "shapes"),
    [
        (lambda y: None, ()),
        (lambda y: y, ((2, 4),)),
        (lambda y: (y, None, 3), ((2, 4),)),
        (lambda y: {"a": y, "b": [y.sum()]}, ((2, 4), ())),
        (lambda y: Output(y, [y[:1]]), ((2, 4), (1, 4))),
        (lambda y: "done", ()),
    ],
)
def test_outputs_of_every_kind(wrap: Any, shapes: tuple[tuple[int, ...], ...]) -> None:
    model = nn.Sequential(Custom(lambda self, x: wrap(self.inner(x)), inner=linear()))
    report = ms.profile(model, ROWS)
    found = next(row for row in (*report.rows, *report.containers) if row.path == "0")
    assert found.output_shape == shapes
    assert report.total.madds == LINEAR


def test_keywords_only() -> None:
    model = Custom(lambda self, *, x, flag=True: self.inner(x), inner=linear())
    report = ms.profile(model, kwargs={"x": ROWS, "flag": False})
    assert report.total.madds == LINEAR
    assert [(entry.name, entry.shape) for entry in report.provenance.inputs] == [("x", (2, 4))]


def test_complex_numbers_cost_four_real_products() -> None:
    """(a + bi)(c + di): 4 MAdds."""
    model = nn.Linear(4, 4, bias=False, dtype=torch.complex64)
    assert ms.profile(model, ROWS.to(torch.complex64)).total.madds == 4 * LINEAR


def test_integers_and_booleans_are_no_flops() -> None:
    assert ms.profile(nn.Embedding(10, 4), torch.tensor([[1, 2, 3]])).total.flops == 0
    model = Custom(lambda self, mask, x: torch.where(mask & mask, self.inner(x), x), inner=linear())
    assert ms.profile(model, ROWS > 0, ROWS).total.madds == LINEAR


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_sparse_product(device: str) -> None:
    """4 stored elements times 4 columns."""
    model = Custom(lambda self, eye, x: torch.sparse.mm(eye, self.inner(x)), inner=linear())
    report = ms.profile(model, torch.eye(4).to_sparse(), torch.zeros(4, 4), device=device)
    assert report.total.madds == 2 * LINEAR + 4 * 4
    assert report.unknown == ()


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr])
@pytest.mark.parametrize("options", [{}, {"device": "cpu"}, {"memory": True}])
def test_sparse_buffer(layout: torch.layout, options: dict[str, Any]) -> None:
    """4 stored elements times 4 columns: on meta a sparse tensor must not seem to store nothing."""
    model = Custom(lambda self, x: self.eye @ self.inner(x), inner=linear())
    model.register_buffer("eye", quietly(torch.eye(4).to_sparse, layout=layout))
    report = ms.profile(model, torch.zeros(4, 4), **options)
    assert report.total.madds == 2 * LINEAR + 4 * 4
    assert (report.total.buffers, report.unknown) == (16, ())


def ragged(layout: torch.layout) -> Tensor:
    """2 and 3 rows of 4."""
    nested: Tensor = quietly(torch.nested.nested_tensor, [torch.zeros(2, 4), torch.zeros(3, 4)], layout=layout)
    return nested


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_jagged_tensor_counts_its_rows(device: str) -> None:
    """5 rows of 4 x 4, nothing padded."""
    report = ms.profile(nn.Sequential(linear()), ragged(torch.jagged), device=device)
    assert report.total.madds == 5 * 4 * 4
    assert report.at("0").input_shape == ((5, 4),)


def test_strided_nested_tensor_is_refused() -> None:
    with pytest.raises(InputError, match=r"(?s)strided layout.*torch\.jagged"):
        ms.profile(linear(), ragged(torch.strided))


@pytest.mark.parametrize(
    ("kind", "gates", "given"),
    [
        (kind, gates, given)
        for kind, gates in ((nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1))
        for given in ("constant", "input")
    ],
)
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_packed_sequences_count_only_real_steps(kind: Any, gates: int, given: str, device: str) -> None:
    """3 + 5 = 8 steps through 6 cells with 4 inputs and 6 hidden values each."""

    def forward(self: Custom, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        lengths = torch.tensor([3, 5]) if lengths is None else lengths
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.rnn(packed)[0], batch_first=True)[0]

    model = Custom(forward, rnn=kind(4, 6, batch_first=True))
    lengths = [torch.tensor([3, 5])] if given == "input" else []
    report = ms.profile(model, torch.zeros(2, 5, 4), *lengths, device=device)
    assert report.total.madds == 8 * gates * 6 * (4 + 6)
    assert report.provenance.assumptions == ()


def test_packed_sequence_as_input() -> None:
    packed = pack_padded_sequence(torch.zeros(2, 5, 4), torch.tensor([5, 3]), batch_first=True)
    assert ms.profile(nn.LSTM(4, 6, batch_first=True), packed).total.madds == 8 * 4 * 6 * (4 + 6)
