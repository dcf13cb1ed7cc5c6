"""What the store knows of meta tensors, whose values it lends, and when it forgets them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from torchstat_cli.capture.values.store import ValueStore


def meta(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")


def test_the_models_own_tensor_is_copied_once_before_the_run_may_write_to_it() -> None:
    store, buffer = ValueStore(), torch.tensor([1, 2])
    twin = store.stand_in(buffer)
    value = store.value(twin)
    value.add_(5)
    assert buffer.tolist() == [1, 2]
    assert store.value(twin) is value


def test_a_parameter_has_a_stand_in_without_values() -> None:
    store, weight = ValueStore(), nn.Parameter(torch.ones(2))
    assert not store.knows(store.twin(weight))
    assert store.twin(weight) is store.stand_in(weight)


def test_a_guess_is_one_until_the_value_is_known_or_forgotten() -> None:
    store, known_later, forgotten = ValueStore(), meta(), meta()
    for tensor in (known_later, forgotten):
        store.remember(tensor, torch.ones(()), guessed=True)
        assert store.is_guess(tensor)
    store.remember(known_later, torch.tensor(3.0))
    store.forget(forgotten)
    assert not store.is_guess(known_later)
    assert not store.is_guess(forgotten)
    assert (store.knows(known_later), store.knows(forgotten)) == (True, False)


def test_a_guess_read_once_is_still_a_guess() -> None:
    store, tensor = ValueStore(), meta()
    store.remember(tensor, torch.ones(()), guessed=True, lent=True)
    store.value(tensor)
    assert store.is_guess(tensor)


def test_forgetting_reaches_every_value_in_the_same_memory() -> None:
    store, base, view, other = ValueStore(), meta(2), meta(1), meta(2)
    memory = torch.zeros(2)
    store.remember(base, memory)
    store.remember(view, memory[:1])
    store.remember(other, torch.zeros(2))
    store.forget(view)
    assert [store.knows(tensor) for tensor in (base, view, other)] == [False, False, True]


def test_nothing_is_kept_of_a_tensor_that_died() -> None:
    store, tensor = ValueStore(), meta(1)
    store.remember(tensor, torch.ones(1), guessed=True)
    assert len(store) == 1
    del tensor
    assert len(store) == 0


def test_real_tensors_are_known_and_one_unknown_is_enough() -> None:
    store, known = ValueStore(), meta(1)
    store.remember(known, torch.ones(1))
    assert store.knows_all([known, torch.ones(1)])
    assert store.knows_all([])
    assert not store.knows_all([known, meta(1)])


@pytest.mark.parametrize(
    ("kinds", "reads", "writes"),
    [
        ("", True, True),  # a tensor made of numbers
        ("known", True, True),
        ("unknown", False, False),
        ("known unknown", False, True),
        ("unknown known", False, True),
        ("real", True, True),
        ("unknown real", True, True),
    ],
)
def test_most_calls_have_no_bearing_on_what_is_known(kinds: str, reads: bool, writes: bool) -> None:
    store, known = ValueStore(), meta(1)
    store.remember(known, torch.ones(1))
    kept = {"known": known, "unknown": meta(1), "real": torch.ones(1)}
    tensors = [kept[kind] for kind in kinds.split()]
    assert (store.bears_on(tensors, False), store.bears_on(tensors, True)) == (reads, writes)
