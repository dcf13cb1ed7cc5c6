"""Which calls move real tensors to meta, what arrives there, and what is left behind."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from torchstat_cli.capture.dispatch.calls import traits
from torchstat_cli.capture.dispatch.keys import Call, keyed_call
from torchstat_cli.capture.values.real_tensors import RealTensors
from torchstat_cli.capture.values.store import ValueStore

aten = torch.ops.aten


def call(func: Any, *args: Any, **kwargs: Any) -> Call:
    return keyed_call(func, traits(func), args, kwargs)


def meta(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")


@pytest.mark.parametrize(
    ("given", "moves"),
    [
        (call(aten.add.Tensor, meta(2), torch.ones(2)), True),
        (call(aten.add.Tensor, meta(2), meta(2)), False),
        (call(aten.add.Tensor, torch.ones(2), torch.ones(2)), False),
        (call(aten.cat.default, [torch.ones(2), meta(2)]), True),
        (call(aten.add.out, torch.ones(2), torch.ones(2), out=meta(2)), True),
        (call(aten._to_copy.default, torch.ones(2), device=torch.device("meta")), True),
        (call(aten._to_copy.default, torch.ones(2), device=torch.device("cpu")), False),
        (call(aten.ones.default, [2], device=torch.device("meta")), False),
    ],
    ids=lambda value: str(value.func) if isinstance(value, Call) else "",
)
def test_real_tensors_move_where_they_meet_meta_tensors(given: Call, moves: bool) -> None:
    assert RealTensors(ValueStore()).must_move(given) is moves


def test_small_tensors_arrive_with_their_values_and_parameters_with_their_stand_in() -> None:
    store, weight = ValueStore(), nn.Parameter(torch.ones(2))
    moved = RealTensors(store).moved(call(aten.addcmul.default, meta(2), torch.tensor([3.0, 4.0]), weight))
    assert [tensor.is_meta for tensor in moved.tensors] == [True, True, True]
    assert store.value(moved.args[1]).tolist() == [3.0, 4.0]
    assert moved.args[2] is store.stand_in(weight)


def test_values_that_arrived_do_not_follow_the_real_tensor() -> None:
    store, real = ValueStore(), torch.tensor([3.0])
    moved = RealTensors(store).moved(call(aten.add.Tensor, meta(1), real))
    real.fill_(9)
    assert store.value(moved.args[1]).tolist() == [3.0]


def test_large_tensors_arrive_without_values() -> None:
    store = ValueStore()
    moved = RealTensors(store).moved(call(aten.add.Tensor, meta(1), torch.zeros(2**18 + 1)))
    assert moved.args[1].is_meta
    assert not store.knows(moved.args[1])


def test_a_tensor_written_with_unknown_values_is_stale_and_so_are_its_views() -> None:
    store = ValueStore()
    tensors, target = RealTensors(store), torch.zeros(2)
    tensors.moved(call(aten.add_.Tensor, target, meta(2)))
    assert tensors.must_move(call(aten.neg.default, target[:1]))
    arrived = tensors.moved(call(aten.neg.default, target[:1])).args[0]
    assert arrived.is_meta
    assert not store.knows(arrived)


def test_known_values_are_written_for_real_unless_the_target_is_stale_or_on_meta() -> None:
    store, known = ValueStore(), meta(2)
    store.remember(known, torch.ones(2))
    tensors, target, other = RealTensors(store), torch.zeros(2), torch.zeros(2)
    assert tensors.take_known_values(call(aten.add_.Tensor, target, known))
    assert not tensors.take_known_values(call(aten.add_.Tensor, target, meta(2)))
    assert not tensors.take_known_values(call(aten.add_.Tensor, known, other))
    assert not tensors.take_known_values(call(aten.add.Tensor, target, known))
    tensors.moved(call(aten.add_.Tensor, target, meta(2)))
    assert not tensors.take_known_values(call(aten.add_.Tensor, target, known))


def test_the_lengths_of_a_packed_sequence_stay_on_the_cpu() -> None:
    """torch wants them there on every device; the data moves."""
    lengths = torch.tensor([5, 3])
    moved = RealTensors(ValueStore()).moved(
        call(aten._pack_padded_sequence.default, torch.zeros(5, 2, 4), lengths, False)
    )
    assert moved.args[0].is_meta
    assert moved.args[1] is lengths
