"""The text of one --input."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchstat_cli.errors import InputError
from torchstat_cli.loading import InputSpec, parse_input


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,3,224,224", InputSpec(None, (1, 3, 224, 224), None, None)),
        ("1x3x224x224", InputSpec(None, (1, 3, 224, 224), None, None)),
        (" 1, 3 , 224 ", InputSpec(None, (1, 3, 224), None, None)),
        ("(1, 3)", InputSpec(None, (1, 3), None, None)),
        ("[2,]", InputSpec(None, (2,), None, None)),
        ("7", InputSpec(None, (7,), None, None)),
        ("()", InputSpec(None, (), None, None)),
        ("scale=", InputSpec("scale", (), None, None)),
        (":float64", InputSpec(None, (), "float64", None)),
        ("1,128:int64", InputSpec(None, (1, 128), "int64", None)),
        ("1,128:torch.long", InputSpec(None, (1, 128), "int64", None)),
        ("1,128:half", InputSpec(None, (1, 128), "float16", None)),
        ("ids=1x128:int64<1000", InputSpec("ids", (1, 128), "int64", 1000)),
        ("ids = 1,128 : int64 < 1000", InputSpec("ids", (1, 128), "int64", 1000)),
        ("mask=4:bool", InputSpec("mask", (4,), "bool", None)),
        ("wave=1,8:complex64", InputSpec("wave", (1, 8), "complex64", None)),
    ],
)
def test_forms(text: str, expected: InputSpec) -> None:
    assert parse_input(text) == expected


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "the input spec is empty", "() is a scalar"),
        ("  ", "the input spec is empty", "() is a scalar"),
        ("1,-3,224", "negative size -3", "positive number"),
        ("1,0,224", "a size of 0", "positive number"),
        ("1,,3", "leaves a size empty", "positive number"),
        ("1,3,", "leaves a size empty", "positive number"),
        ("1x3,224", "mixes x and commas", "1x3x224x224"),
        ("1,3,a", "the size 'a'", "1,3,224,224"),
        ("1,3.5", "the size '3.5'", "1,3,224,224"),
        ("1,1e3", "the size '1e3'", "1,3,224,224"),
        ("1 3 224", "the size '1 3 224'", "1,3,224,224"),
        ("１,３", "which is no whole number", "1,3,224,224"),
        ("99999999999,99999999999", "more elements than a tensor can hold", "batch, channels, height, width"),
        ("1,3:flaot32", "the dtype 'flaot32'", "float32, bfloat16"),
        ("1,3:", "the dtype ''", "float32, bfloat16"),
        ("1,3:nn", "the dtype 'nn'", "float32, bfloat16"),
        ("1,3:qint8", "the dtype 'qint8'", "float32, bfloat16"),
        ("2d=1,3", "the name '2d', which is no Python name", "ids=1,128"),
        ("=1,3", "the name ''", "ids=1,128"),
        ("a=b=1,3", "no form", "ids=1,128"),
        ("1,3:int64:int32", "the dtype 'int64:int32'", "float32"),
        ("1,3<10", "bounds values that are not integers", "1,128:int64<1000"),
        ("1,3:float32<10", "bounds values that are not integers", "1,128:int64<1000"),
        ("1,3:bool<2", "bounds values that are not integers", "1,128:int64<1000"),
        ("1,3:int64<0", "the bound '0'", "[0, bound)"),
        ("1,3:int64<-5", "the bound '-5'", "[0, bound)"),
        ("1,3:int64<ten", "the bound 'ten'", "[0, bound)"),
        ("1,3:int64<", "the bound ''", "[0, bound)"),
        ("1,3:int8<1000", "above int8's largest value 127", "use int64"),
    ],
)
def test_bad_inputs(text: str, message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_input(text)
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")


@given(st.text(alphabet="0123456789,x()[]:=<-. abint64float", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(InputError):
        assert all(size > 0 for size in parse_input(text).shape)


@given(st.lists(st.integers(1, 9), max_size=5), st.sampled_from([",", "x"]))
def test_written_shapes_come_back(shape: list[int], separator: str) -> None:
    assert parse_input(separator.join(map(str, shape)) or "()").shape == tuple(shape)
