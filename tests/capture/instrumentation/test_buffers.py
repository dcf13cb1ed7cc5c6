"""Metadata rows: what is written is read back, and a module carries its row only for a while."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from torchstat_cli.capture.instrumentation.buffers import BUFFER_NAME, MetadataRow, Slot

SHAPES = st.lists(st.lists(st.integers(0, 2**40), max_size=6).map(tuple), max_size=20).map(tuple)


@settings(max_examples=50, deadline=None, derandomize=True, database=None)
@given(inputs=SHAPES, outputs=SHAPES)
def test_shapes_are_read_back(inputs: Any, outputs: Any) -> None:
    row = MetadataRow(nn.ReLU())
    row.write_input(7, inputs)
    row.write_output(outputs, torch.bfloat16)
    assert row.read() == (0, 7, "bfloat16", inputs, outputs)


def test_fresh_row_is_empty() -> None:
    row = MetadataRow(nn.ReLU())
    assert row.read() == (0, 0, None, (), ())


def test_output_without_a_tensor_has_no_dtype() -> None:
    row = MetadataRow(nn.ReLU())
    row.write_output((), None)
    assert (row.read().dtype, row.read().output_shape) == (None, ())


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64, torch.bool, torch.complex128, torch.float8_e4m3fn])
def test_dtype_is_spelled_as_torch_does(dtype: torch.dtype) -> None:
    row = MetadataRow(nn.ReLU())
    row.write_output(((1,),), dtype)
    assert row.read().dtype == str(dtype).removeprefix("torch.")


def test_registered_row_is_a_buffer_outside_the_state_dict() -> None:
    module = nn.Linear(2, 2)
    row = MetadataRow(module)
    row.register()
    assert dict(module.named_buffers())[BUFFER_NAME] is row.tensor
    assert (row.tensor.dtype, row.tensor.device.type) == (torch.int64, "cpu")
    assert list(module.state_dict()) == ["weight", "bias"]
    for _ in range(3):
        row.count_call()
    assert row.tensor[Slot.CALLS] == 3
    row.remove()
    assert list(module.buffers()) == []
    assert module._non_persistent_buffers_set == set()
    assert row.calls == 3


def test_growing_row_stays_registered_and_keeps_what_it_held() -> None:
    module = nn.ReLU()
    row = MetadataRow(module)
    row.register()
    row.count_call()
    row.count_call()
    row.write_input(1, ((9,) * 100,))
    row.write_output(((8,) * 50, ()), torch.int8)
    assert [buffer is row.tensor for buffer in module.buffers()] == [True]
    assert row.read() == (2, 1, "int8", ((9,) * 100,), ((8,) * 50, ()))
    assert row.tensor is not None
    assert row.tensor[0] == 2  # the buffer is the memory that is written


def test_two_rows_on_one_module_have_two_names() -> None:
    module = nn.ReLU()
    outer, inner = MetadataRow(module), MetadataRow(module)
    outer.register()
    inner.register()
    assert [name for name, _ in module.named_buffers()] == [BUFFER_NAME, f"{BUFFER_NAME}_2"]
    outer.remove()
    assert [name for name, _ in module.named_buffers()] == [f"{BUFFER_NAME}_2"]


def test_module_with_an_own_register_buffer_and_a_taken_name() -> None:
    class Stubborn(nn.Module):
        def register_buffer(self, *args: Any, **kwargs: Any) -> None:
            raise RuntimeError("no buffers here")

    module = Stubborn()
    setattr(module, BUFFER_NAME, "mine")
    row = MetadataRow(module)
    row.register()
    row.remove()
    assert getattr(module, BUFFER_NAME) == "mine"
