"""Tensors are found and replaced in everything that modules take and return."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, UserDict, namedtuple
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from tests.capture.containers import FrozenDict, Label, Unordered
from torchstat_cli.torch_access.trees import map_tensors, shapes_in, tensors_in

ONE, TWO = torch.zeros(1), torch.zeros(2)
Pair = namedtuple("Pair", "left right")


@dataclasses.dataclass(frozen=True)
class Record:
    first: Tensor
    rest: list[Tensor] = dataclasses.field(default_factory=list)


class KeyValueCache:
    """As model libraries write them: tensors are attributes."""

    def __init__(self) -> None:
        self.keys, self.values, self.length = [ONE], [TWO], 3


@pytest.mark.parametrize(
    ("value", "shapes"),
    [
        (ONE, ((1,),)),
        (None, ()),
        ("text", ()),
        ((ONE, [TWO, None], 3), ((1,), (2,))),
        ({"a": ONE, "b": {"c": (TWO,)}}, ((1,), (2,))),
        (OrderedDict(a=TWO, b=ONE), ((2,), (1,))),
        (UserDict(a=ONE), ((1,),)),
        (Pair(ONE, TWO), ((1,), (2,))),
        (Record(ONE, [TWO]), ((1,), (2,))),
        (KeyValueCache(), ((1,), (2,))),
        (torch.zeros(()), ((),)),
        (Record, ()),
        (Label((ONE, 2)), ((1,),)),
        ([Unordered((TWO,))], ((2,),)),
        (FrozenDict(a=ONE), ((1,),)),
    ],
)
def test_shapes(value: Any, shapes: tuple[tuple[int, ...], ...]) -> None:
    assert shapes_in(value) == shapes


def test_tuple_of_a_class_of_its_own_is_kept_where_it_holds_no_tensor() -> None:
    """Its constructor may take anything; its length may be undefined."""
    label = Label((0, 1))
    assert map_tensors((label, ONE), torch.clone)[0] is label


def test_value_that_contains_itself_is_visited_once() -> None:
    value: list[Any] = [ONE]
    value.append(value)
    assert list(tensors_in(value)) == [ONE]


@pytest.mark.parametrize(
    "value",
    [
        (ONE, [TWO, None], "x"),
        {"a": ONE, "b": {"c": (TWO,)}},
        OrderedDict(a=TWO, b=ONE),
        Pair(ONE, TWO),
        Record(ONE, [TWO]),
        torch.Size([1, 2]),
        slice(None),
    ],
)
def test_mapping_keeps_the_structure(value: Any) -> None:
    mapped = map_tensors(value, lambda tensor: tensor + 1)
    assert type(mapped) is type(value)
    assert shapes_in(mapped) == shapes_in(value)
    assert all(tensor.eq(1).all() for tensor in tensors_in(mapped))
    assert all(tensor.eq(0).all() for tensor in tensors_in(value))


def test_packed_sequence_keeps_its_plan_on_the_cpu() -> None:
    packed = pack_sequence([torch.zeros(3, 2), torch.zeros(1, 2)])
    mapped = map_tensors(packed, lambda tensor: tensor.to("meta"))
    assert isinstance(mapped, PackedSequence)
    assert mapped.data.is_meta
    assert mapped.batch_sizes is packed.batch_sizes


def test_objects_of_unknown_kind_are_left_alone() -> None:
    holder = SimpleNamespace(tensor=ONE)
    assert map_tensors([holder], lambda tensor: tensor + 1)[0] is holder


class Box:
    """As detection models hand them on: an image list, instances, a mask beside its tensor."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor, self.itself, self.model = tensor, self, torch.nn.Linear(1, 1)


class Slotted:
    __slots__ = ("_tensor", "unset")

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor


class Guarded:
    """Refuses to be written to, and answers for every attribute."""

    def __init__(self, tensor: Tensor) -> None:
        object.__setattr__(self, "_fields", {"box": Box(tensor)})

    def __setattr__(self, name: str, value: Any) -> None:
        raise TypeError

    def __getattr__(self, name: str) -> Any:
        return self._fields[name]


@pytest.mark.parametrize(
    "kind", [Box, Slotted, Guarded, lambda tensor: torch.distributions.Uniform(tensor, tensor + 1)]
)
def test_ordinary_objects_are_copied_where_that_is_asked_for(kind: Any) -> None:
    given = {"deep": [kind(torch.zeros(2))]}
    mapped = map_tensors(given, lambda tensor: tensor + 1, objects=True)
    assert type(mapped["deep"][0]) is type(given["deep"][0])
    assert list(tensors_in(given)) == []
    before, after = list(tensors_in(given, objects=True)), list(tensors_in(mapped, objects=True))
    assert before
    assert all(torch.equal(new, old + 1) for old, new in zip(before, after, strict=True))


def test_a_copied_object_contains_itself_again_and_keeps_what_holds_no_tensor() -> None:
    box = Box(ONE)
    copied = map_tensors(box, torch.clone, objects=True)
    assert copied.itself is copied
    assert copied.model is box.model


@pytest.mark.parametrize(
    "value", [lambda: None, Box, torch.nn.Linear(1, 1), torch.Generator(), iter([ONE]), KeyError()]
)
def test_what_is_no_ordinary_object_stays_itself(value: Any) -> None:
    assert map_tensors(value, torch.clone, objects=True) is value
