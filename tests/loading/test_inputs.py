"""Dummy tensors, the user's own inputs, and the model's usual ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from torchstat_cli.errors import InputError, SpecError
from torchstat_cli.loading import (
    Inputs,
    InputSpec,
    ModelSource,
    as_inputs,
    default_inputs,
    inputs_on,
    load_inputs,
    make_inputs,
    parse_input,
)
from torchstat_cli.loading import inputs as inputs_module

Write = Callable[[str, str], Path]


def made(text: str, device: str, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    (tensor,) = make_inputs([parse_input(text)], device=device, dtype=dtype).args
    assert isinstance(tensor, torch.Tensor)
    return tensor


def source(example: object) -> ModelSource:
    return ModelSource("net", "net", nn.Identity, example)  # type: ignore[arg-type]


def test_floating_inputs_on_meta_have_no_memory() -> None:
    tensor = made("64,3,1000,1000,1000", "meta", torch.bfloat16)  # 384 GB if it were real
    assert (tensor.device.type, tensor.dtype, tuple(tensor.shape)) == (
        "meta",
        torch.bfloat16,
        (64, 3, 1000, 1000, 1000),
    )


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_integer_inputs_are_real(device: str) -> None:
    assert torch.equal(made("2,3:int32", device), torch.zeros(2, 3, dtype=torch.int32))
    assert torch.equal(made("4:bool", device), torch.zeros(4, dtype=torch.bool))
    bounded = made("1000:int64<7", device)
    assert bounded.device.type == "cpu"
    assert set(bounded.tolist()) == set(range(7))


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "complex64", "float8_e4m3fn", "uint8", "uint16"])
def test_every_kind_of_dtype_can_be_made(dtype: str) -> None:
    assert made(f"2,2:{dtype}", "cpu").dtype is getattr(torch, dtype)


def test_real_values_repeat_and_leave_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    first, second = made("5,5", "cpu"), made("5,5", "cpu")
    assert torch.equal(first, second)
    assert first.unique().numel() > 20
    assert torch.equal(torch.get_rng_state(), before)


def test_names_become_keywords() -> None:
    inputs = make_inputs([parse_input("1,2"), parse_input("ids=3:int64")], device="meta", dtype=torch.float32)
    assert len(inputs.args) == 1
    assert list(inputs.kwargs) == ["ids"]


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ([InputSpec("x", (1,), None, None)] * 2, "'x' is given twice"),
        ([InputSpec(None, (1, -3), None, None)], "negative size -3"),
        ([InputSpec(None, (0,), None, None)], "a size of 0"),
        ([InputSpec(None, (10**12,), "int64", None)], "takes 7.276 TiB, more than"),
    ],
)
def test_specs_that_cannot_be_made(specs: list[InputSpec], message: str) -> None:
    with pytest.raises(InputError) as caught:
        make_inputs(specs, device="meta", dtype=torch.float32)
    assert message in caught.value.message
    assert caught.value.hint


def test_the_limit_is_the_memory_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs_module, "memory_limit", lambda: 100)
    assert made("25", "cpu").numel() == 25
    with pytest.raises(InputError, match="takes 104 B, more than the 100 B"):
        made("26", "cpu")


TENSOR = torch.ones(2)


@pytest.mark.parametrize(
    ("value", "args", "kwargs"),
    [
        (TENSOR, (TENSOR,), {}),
        ((TENSOR, 3), (TENSOR, 3), {}),
        ((), (), {}),
        ({"x": TENSOR}, (), {"x": TENSOR}),
        (((TENSOR,), {"n": 2}), (TENSOR,), {"n": 2}),
        (([TENSOR], {}), (TENSOR,), {}),
        ([TENSOR, TENSOR], ([TENSOR, TENSOR],), {}),
        (({"x": TENSOR},), ({"x": TENSOR},), {}),
        (None.__class__, (None.__class__,), {}),
    ],
)
def test_values_become_arguments(value: object, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    inputs = as_inputs(value)
    assert repr(inputs) == repr(Inputs(args, kwargs))
    assert as_inputs(inputs) is inputs


@pytest.mark.parametrize(
    ("value", "message", "hint"),
    [
        (None, "the inputs are None", "return a tensor"),
        ({3: TENSOR}, "the keyword 3, which is no string", "(the_dict,)"),
        (((), {3: TENSOR}), "the keyword 3, which is no string", "(the_dict,)"),
    ],
)
def test_values_that_are_no_arguments(value: object, message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        as_inputs(value)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


def test_inputs_from_the_users_function(write: Write) -> None:
    write(
        "my_inputs.py",
        "import torch\ndef make():\n    return (torch.ones(1, 3),), {'scale': 2}\nready = torch.ones(4)\n",
    )
    inputs = load_inputs("my_inputs:make")
    assert tuple(inputs.args[0].shape) == (1, 3)  # type: ignore[attr-defined]
    assert inputs.kwargs == {"scale": 2}
    assert tuple(load_inputs("my_inputs.py:ready").args[0].shape) == (4,)  # type: ignore[attr-defined]


def test_functions_that_give_no_inputs(write: Write) -> None:
    write("bad_inputs.py", "def none(): pass\ndef raises(): 1 / 0\ndef needs(x): return x\n")
    for spec, message in [
        ("bad_inputs:none", "the inputs are None"),
        ("bad_inputs:raises", "bad_inputs:raises raised ZeroDivisionError: division by zero (bad_inputs.py:2)"),
        ("bad_inputs:needs", "missing 1 required positional argument"),
    ]:
        with pytest.raises(InputError) as caught:
            load_inputs(spec)
        assert message in caught.value.message
        assert caught.value.hint
    with pytest.raises(SpecError, match="name no function"):
        load_inputs("1,3,224,224")
    with pytest.raises(SpecError, match="did you mean raises"):
        load_inputs("bad_inputs:raise_")


def test_usual_inputs_from_specs_and_from_a_callable() -> None:
    assert default_inputs(source(None), device="meta", dtype=torch.float32) is None
    specs = default_inputs(source(["1,3", "ids=4:int64<9"]), device="meta", dtype=torch.bfloat16)
    assert specs is not None
    assert specs.args[0].dtype is torch.bfloat16  # type: ignore[attr-defined]
    called = default_inputs(source(lambda: {"x": torch.ones(2, 3)}), device="meta", dtype=torch.float16)
    assert called is not None
    assert called.kwargs["x"].is_meta  # type: ignore[attr-defined]
    assert called.kwargs["x"].dtype is torch.float16  # type: ignore[attr-defined]


def test_usual_inputs_that_raise() -> None:
    def broken() -> object:
        raise ValueError("no data")

    with pytest.raises(InputError, match="the example inputs of net raised ValueError: no data") as caught:
        default_inputs(source(broken), device="meta", dtype=torch.float32)
    assert caught.value.hint == "give --input, or mend example_inputs"


def test_moving_keeps_nesting_and_real_integers() -> None:
    ids = torch.tensor([5, 6])
    moved = inputs_on(Inputs(([torch.ones(2)], {"ids": ids}), {"flag": True}), device="meta")
    (images, table) = moved.args
    assert images[0].is_meta  # type: ignore[index]
    assert table["ids"] is ids  # type: ignore[index]
    assert moved.kwargs == {"flag": True}


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_moving_keeps_the_wish_for_a_gradient_but_not_the_graph(device: str) -> None:
    leaf = torch.ones(2, requires_grad=True)
    inputs = inputs_on(Inputs((leaf, leaf * 2, torch.ones(2)), {}), device=device)
    assert [tensor.requires_grad for tensor in inputs.args] == [True, True, False]
    assert all(tensor.is_leaf for tensor in inputs.args)
