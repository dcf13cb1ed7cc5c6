"""A live call reduced to a record: every argument by its name, storages numbered, views seen as views."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from torchstat_cli.capture.dispatch.calls import argument_tensors, describe_call, operator_name, operator_tags, traits
from torchstat_cli.records import OpRecord, TensorRecord

aten = torch.ops.aten


def described(func: Any, *args: Any, **kwargs: Any) -> OpRecord:
    return describe_call(func, args, kwargs, func(*args, **kwargs))


def test_arguments_by_schema_name_with_defaults() -> None:
    record = described(aten.conv2d.default, torch.zeros(1, 3, 8, 8), torch.zeros(4, 3, 3, 3), None, [2, 2])
    assert (record.name, record.overload) == ("aten.conv2d", "default")
    assert record.tensor("weight").shape == (4, 3, 3, 3)
    assert record.arguments["bias"] is None
    assert (record.arguments["stride"], record.arguments["dilation"], record.arguments["groups"]) == ((2, 2), (1, 1), 1)
    assert record.output.shape == (1, 4, 3, 3)


def test_tensor_as_it_lies_in_memory() -> None:
    """Rows 1 and 2 of a 4 x 3 matrix, transposed: the first element is the fourth of 12, 2 bytes each."""
    tensor = torch.zeros(4, 3, dtype=torch.bfloat16)[1:3].t()
    expected = TensorRecord((3, 2), (1, 3), "bfloat16", itemsize=2, offset=3, storage=0, storage_bytes=24)
    assert described(aten.neg.default, tensor).tensor("self") == expected


def test_tensors_that_share_memory_have_one_storage_number() -> None:
    base = torch.zeros(4, 3)
    record = described(aten.cat.default, [base[:2], base[2:], torch.zeros(1, 3)])
    assert [entry.storage for entry in record.tensors("tensors")] == [0, 0, 1]
    assert record.output.storage == 2


@pytest.mark.parametrize(
    ("func", "args", "view"),
    [
        (aten.reshape.default, (torch.zeros(2, 6), [3, 4]), True),
        (aten.reshape.default, (torch.zeros(2, 6).t(), [3, 4]), False),
        (aten.contiguous.default, (torch.zeros(2, 6),), True),
        (aten.contiguous.default, (torch.zeros(2, 6).t(),), False),
        (aten.dropout.default, (torch.zeros(2), 0.5, False), True),
        (aten.to.dtype, (torch.zeros(2), torch.float32), True),
        (aten.to.dtype, (torch.zeros(2), torch.float64), False),
    ],
)
def test_what_returns_its_input_counts_as_a_view(func: Any, args: tuple[Any, ...], view: bool) -> None:
    assert ("view" in described(func, *args).tags) is view


def test_in_place_results_are_no_views() -> None:
    assert described(aten.relu_.default, torch.zeros(2)).tags >= {"inplace"}
    assert "view" not in described(aten.relu_.default, torch.zeros(2)).tags


def test_sparse_tensors_tell_what_they_store() -> None:
    """2 of 16 elements of 4 bytes."""
    sparse = torch.sparse_coo_tensor([[0, 1], [2, 3]], [1.0, 2.0], (4, 4), check_invariants=True)
    (record,) = describe_call(aten.neg.default, (sparse,), {}, None).inputs
    assert (record.shape, record.storage_bytes) == ((4, 4), 8)


def test_everything_else_becomes_a_plain_value() -> None:
    record = described(aten.zeros.default, [2], dtype=torch.float64, device=torch.device("cpu"))
    assert (record.arguments["dtype"], record.arguments["device"]) == ("float64", "cpu")


def test_names_and_tags() -> None:
    assert operator_name(aten.add.Tensor) == "aten.add"
    assert "pointwise" in operator_tags(aten.add.Tensor)
    assert "inplace" in operator_tags(aten.add_.Tensor)
    assert "dynamic_output_shape" in operator_tags(aten.nonzero.default)


def test_traits() -> None:
    assert traits(aten.transpose.int).view is not None
    assert traits(aten.reshape.default).view is None  # may copy
    assert traits(aten.linear.default).composite
    assert not traits(aten.mm.default).composite
    assert traits(aten.nonzero.default).data_dependent
    assert not traits(aten.rand.default).repeatable
    assert traits(aten.empty.memory_format).uninitialised
    assert traits(aten.add_.Tensor).mutable


def test_argument_tensors_are_found_in_lists_and_keywords() -> None:
    one, two, three = (torch.zeros(size) for size in (1, 2, 3))
    assert argument_tensors((one, [two, None], 3), {"out": three}) == [one, two, three]
