"""Known values are exact where they are claimed, and forgotten as soon as something unknown touches them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import torchstat_cli as ms
from tests.capture.modules import LINEAR, ROWS, Custom, linear
from torchstat_cli.capture.dispatch.memo import Memo
from torchstat_cli.capture.tape import OperatorTape
from torchstat_cli.capture.values.known import KnownValues, ValueUnknownError


def observed(function: Callable[[Callable[[Any], Tensor]], Any]) -> Any:
    """Run ``function`` on a tape with known values; it gets ``known``, which puts a list of numbers on meta."""
    values = KnownValues()
    tape = OperatorTape([0], lambda name, overload, tags: True, Memo(), values)
    with torch.inference_mode(), tape:
        return function(lambda numbers: values.store.twin(torch.tensor(numbers)))


def unknown(*shape: int) -> Tensor:
    return torch.rand(shape, device="meta")


# Exactness


@pytest.mark.parametrize(
    ("ask", "answer"),
    [
        (lambda known: (known([1, 2, 3]) * 2).sum().item(), 12),
        (lambda known: known([[1, 2], [3, 4]]).t()[0].tolist(), [1, 3]),
        (lambda known: bool((known([1, 2]) == known([1, 2])).all()), True),
        (lambda known: bool(known([0])), False),
        (lambda known: int(known([5])[0]), 5),
        (lambda known: float(known([0.5])[0]), 0.5),
        (lambda known: len(known([0, 3, 0, 4]).nonzero()), 2),
        (lambda known: known([1, 2, 3, 4])[known([1, 2, 3, 4]) > 2].tolist(), [3, 4]),
        (lambda known: known([3, 1, 3]).unique().tolist(), [1, 3]),
        (lambda known: known([7, 8]).repeat_interleave(known([1, 3])).tolist(), [7, 8, 8, 8]),
        (lambda known: known([1, 2]).cpu().tolist(), [1, 2]),
        (lambda known: [int(entry) for entry in known([4, 5])], [4, 5]),
        (lambda known: torch.arange(5, device="meta").sum().item(), 10),
        (lambda known: torch.full((2,), 3, device="meta").tolist(), [3, 3]),
        (lambda known: torch.where(known([1, 0]) > 0, known([5, 6]), 9).tolist(), [5, 9]),
        (lambda known: known([2, 0, 1]).argsort().tolist(), [1, 2, 0]),
        (lambda known: torch.empty(2, dtype=torch.int64, device="meta").copy_(known([6, 7])).tolist(), [6, 7]),
    ],
)
def test_answers_are_exact(ask: Callable[[Any], Any], answer: Any) -> None:
    assert observed(ask) == answer


def test_writing_in_place_changes_the_value() -> None:
    def ask(known: Any) -> Any:
        tensor = known([1, 2, 3])
        tensor.add_(10)
        tensor[1] = 0
        return tensor.tolist()

    assert observed(ask) == [11, 0, 13]


def test_writing_through_a_view_changes_the_base_and_the_other_views() -> None:
    def ask(known: Any) -> Any:
        base = known([[1, 2], [3, 4]])
        row, column = base[0], base[:, 0]
        row.fill_(9)
        return base.tolist(), column.tolist()

    assert observed(ask) == ([[9, 9], [3, 4]], [9, 3])


def test_writing_to_the_twin_leaves_the_original_alone() -> None:
    original, values = torch.tensor([1, 2]), KnownValues()
    with torch.inference_mode(), OperatorTape([0], lambda *_: True, Memo(), values):
        values.store.twin(original).zero_()
    assert original.tolist() == [1, 2]


def test_one_tensor_has_one_twin() -> None:
    original, values = torch.tensor([1, 2]), KnownValues()
    assert values.store.twin(original) is values.store.twin(original)
    assert values.store.twin(original) is not values.store.twin(original.clone())


# Forgetting


@pytest.mark.parametrize(
    "spoil",
    [
        lambda tensor: tensor.add_(unknown(2)),
        lambda tensor: tensor.copy_(unknown(2)),
        lambda tensor: tensor[0].copy_(unknown()),
        lambda tensor: tensor.uniform_(),
        lambda tensor: torch.add(unknown(2), 1, out=tensor),
        lambda tensor: tensor.view(1, 2).mul_(unknown(1, 2)),
    ],
)
def test_unknown_values_written_in_are_forgotten(spoil: Callable[[Tensor], Any]) -> None:
    def ask(known: Any) -> Any:
        tensor = known([1.0, 2.0])
        view = tensor[:1]
        spoil(tensor)
        for spoiled in (tensor, view):
            with pytest.raises(ValueUnknownError, match="meta tensors have none"):
                spoiled.sum().item()

    observed(ask)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda real: real.add_(unknown(2)),
        lambda real: torch.add(unknown(2), 1, out=real),
        lambda real: real[:1].copy_(unknown(1)),
    ],
)
def test_real_tensors_that_take_unknown_values_are_not_asked(spoil: Callable[[Tensor], Any]) -> None:
    """A buffer made in the forward pass is real; what it holds after the write is not."""

    def ask(known: Any) -> Any:
        real = torch.zeros(2)
        spoil(real)
        with pytest.raises(ValueUnknownError):
            real.sum().item()

    observed(ask)


def test_real_tensors_that_take_known_values_keep_them() -> None:
    def ask(known: Any) -> Any:
        real = torch.zeros(3, dtype=torch.int64)
        real[1] = known([5])[0]
        real += known([1, 1, 1])
        return real.tolist()

    assert observed(ask) == [1, 6, 1]


@pytest.mark.parametrize(
    "ask",
    [
        lambda: unknown(2).sum().item(),
        lambda: bool(unknown(1) > 0),
        lambda: unknown(3).nonzero(),
        lambda: unknown(3)[unknown(3) > 0],
        lambda: unknown(3).tolist(),
        lambda: torch.rand(2, device="meta").max().item(),
        lambda: unknown(3).unique(),
    ],
)
def test_unknown_values_are_never_made_up(ask: Callable[[], Any]) -> None:
    with pytest.raises(ValueUnknownError):
        observed(lambda known: ask())


def test_large_tensors_are_not_kept() -> None:
    values = KnownValues()
    twin = values.store.twin(torch.zeros(513, 512))  # one row more than 2 ** 18
    with torch.inference_mode(), OperatorTape([0], lambda *_: True, Memo(), values), pytest.raises(ValueUnknownError):
        twin.sum().item()


def test_values_die_with_their_tensors() -> None:
    values = KnownValues()
    twin = values.store.twin(torch.tensor([1]))
    del twin
    assert len(values.store) == 0


# Packed sequences


def pack(lengths: Tensor) -> Tensor:
    """The rows at every step of sequences of 3 and 2 steps: 2, 2 and 1."""
    return torch._pack_padded_sequence(unknown(3, 2, 4), lengths, False)[1]


@pytest.mark.parametrize("place", ["real", "meta"])
def test_known_lengths_pack_a_sequence_and_count_as_an_answer_on_meta_alone(place: str) -> None:
    values, lengths = KnownValues(), torch.tensor([3, 2])
    with torch.inference_mode(), OperatorTape([0], lambda *_: True, Memo(), values):
        rows = pack(lengths if place == "real" else values.store.twin(lengths))
    assert (rows.tolist(), values.used) == ([2, 2, 1], place == "meta")


def test_unknown_lengths_pack_nothing() -> None:
    with pytest.raises(ValueUnknownError, match="_pack_padded_sequence needs the lengths of sequences"):
        observed(lambda known: pack(unknown(2).long()))


# In whole models


def test_index_table_in_a_buffer_keeps_its_values() -> None:
    def forward(self: Custom, x: Tensor) -> Tensor:
        for _ in range(self.table.tolist()[1]):
            x = self.inner(x)
        return x

    model = Custom(forward, inner=linear(), table=torch.tensor([5, 3]))
    report = ms.profile(model, ROWS)
    assert (report.total.madds, report.provenance.placement) == (3 * LINEAR, "meta+values")
    assert report.provenance.assumptions == ()


def test_real_constants_may_meet_meta_tensors() -> None:
    model = Custom(lambda self, x: self.inner(x) + torch.ones(4) * torch.tensor(2.0), inner=linear())
    assert ms.profile(model, ROWS, device="meta").total.madds == LINEAR


@pytest.mark.parametrize(
    "condition",
    [
        lambda y: (y * 0).sum().item() == 0,
        lambda y: bool(((y * 0) == 0).all()),
        lambda y: len((y * 0 + 1).nonzero()) == 8,
        lambda y: y[(y * 0) == 0].shape == (8,),
        lambda y: (y * 0)[0].tolist() == [0.0] * 4,
        lambda y: f"{(y * 0).sum().item():.1f}" in ("0.0", "-0.0"),
    ],
)
def test_unknown_values_send_the_run_to_the_real_rung(condition: Callable[[Tensor], bool]) -> None:
    model = Custom(lambda self, x: self.inner(x) if condition(self.inner(x)) else x, inner=linear())
    report = ms.profile(model, ROWS)
    assert (report.total.madds, report.provenance.placement) == (2 * LINEAR, "cpu")


@pytest.mark.parametrize("write", ["add_", "copy_"])
def test_accumulator_made_on_the_cpu_is_not_read_as_zero(write: str) -> None:
    def forward(self: Custom, x: Tensor) -> Tensor:
        total = torch.zeros(2, 4)
        getattr(total, write)(self.inner(x) * 0 + 1)
        return self.inner(x) if total.sum().item() == 8 else x

    report = ms.profile(Custom(forward, inner=linear()), ROWS)
    assert (report.total.madds, report.provenance.placement) == (2 * LINEAR, "cpu")


def test_python_side_conversions_go_to_the_real_rung() -> None:
    model = Custom(lambda self, x: self.inner(torch.from_numpy(x.numpy() * 2)), inner=linear())
    report = ms.profile(model, ROWS)
    assert (report.total.madds, report.provenance.placement) == (LINEAR, "cpu")


def test_integer_inputs_are_known() -> None:
    model = nn.Sequential(Custom(lambda self, ids: self.inner(ROWS[: ids.max()]), inner=linear()))
    assert ms.profile(model, torch.tensor([0, 1]), device="meta").total.madds == LINEAR // 2
