"""Each distinct parameter and buffer counts once, where it is first registered."""

from __future__ import annotations

from torchstat_cli.calculators.params import holdings
from torchstat_cli.records import ModuleFacts, OwnedTensor


def owned(key: int, numel: int, *, trainable: bool = True, itemsize: int = 4) -> OwnedTensor:
    return OwnedTensor(f"t{key}", key, numel, numel * itemsize, trainable, touched=False)


def facts(path: str, *parameters: OwnedTensor, buffers: tuple[OwnedTensor, ...] = ()) -> ModuleFacts:
    return ModuleFacts(path, "Module", True, 1, (), (), None, {}, parameters, buffers)


def test_trainable_and_frozen_are_told_apart() -> None:
    held = holdings([facts("a", owned(1, 10), owned(2, 5, trainable=False))])["a"]
    assert (held.params, held.trainable_params, held.param_bytes) == (15, 10, 60)


def test_bytes_follow_the_dtype() -> None:
    """Half precision parameters, an 8-byte counter."""
    counter = owned(2, 1, itemsize=8)
    held = holdings([facts("a", owned(1, 10, itemsize=2), buffers=(counter,))])["a"]
    assert (held.param_bytes, held.buffers, held.buffer_bytes) == (20, 1, 8)


def test_tied_parameter_counts_where_it_comes_first() -> None:
    held = holdings([facts("embedding", owned(1, 100)), facts("head", owned(1, 100), owned(2, 3))])
    assert (held["embedding"].params, held["embedding"].shared_with) == (100, None)
    assert (held["head"].params, held["head"].shared_with) == (3, "embedding")


def test_parameter_under_two_names_of_one_module_counts_once_and_is_not_shared() -> None:
    held = holdings([facts("a", owned(1, 7), owned(1, 7))])["a"]
    assert (held.params, held.shared_with) == (7, None)


def test_tied_buffers_count_once() -> None:
    held = holdings([facts("a", buffers=(owned(1, 4),)), facts("b", buffers=(owned(1, 4),))])
    assert (held["a"].buffers, held["b"].buffers) == (4, 0)


def test_module_without_anything() -> None:
    held = holdings([facts("a")])["a"]
    assert (held.params, held.buffers, held.param_bytes, held.shared_with) == (0, 0, 0, None)
