from __future__ import annotations

import pytest

from torchstat_cli.errors import UsageError
from torchstat_cli.loading import parse_input
from torchstat_cli.tasks.sweep.variants import arguments_of, parse_variants, sized, tasks_of

IMAGE = (parse_input("1,3,224,224"),)
TEXT = (parse_input("ids=1,16:int64"), parse_input("mask=1,16"))


def shapes(specs: tuple[object, ...]) -> list[tuple[int, ...]]:
    return [spec.shape for spec in specs]  # type: ignore[attr-defined]


def test_every_combination_of_every_model_once_in_order() -> None:
    tasks = tasks_of(["a", "b", "a"], parse_variants(["batch=1,2", "arg.depth=3,4"]))
    assert [(task.model, *task.variant.values()) for task in tasks] == [
        *(("a", "1", "3"), ("a", "1", "4"), ("a", "2", "3"), ("a", "2", "4")),
        *(("b", "1", "3"), ("b", "1", "4"), ("b", "2", "3"), ("b", "2", "4")),
    ]


def test_nothing_varied_is_one_row_a_model() -> None:
    assert [task.variant for task in tasks_of(["a"], {})] == [{}]


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ({"batch": "8"}, [(8, 3, 224, 224)]),
        ({"input.H": "320"}, [(1, 3, 320, 224)]),
        ({"input.W": "320"}, [(1, 3, 224, 320)]),
        ({"input.C": "1"}, [(1, 1, 224, 224)]),
        ({"input.-1": "7"}, [(1, 3, 224, 7)]),
        ({"batch": "2", "input.2": "5", "arg.depth": "9"}, [(2, 3, 5, 224)]),
    ],
)
def test_sizes_of_an_image(variant: dict[str, str], expected: list[tuple[int, ...]]) -> None:
    assert shapes(sized(IMAGE, variant)) == expected


def test_an_axis_of_one_input_by_name() -> None:
    assert shapes(sized(TEXT, {"ids.L": "64"})) == [(1, 64), (1, 16)]
    assert shapes(sized(TEXT, {"input.L": "64"})) == [(1, 64), (1, 64)]


def test_an_axis_that_no_input_has() -> None:
    with pytest.raises(UsageError) as raised:
        sized(TEXT, {"input.5": "2"})
    assert raised.value.hint == "the inputs are ids [1, 16], mask [1, 16]"


def test_arguments_are_read_as_those_of_the_command_line() -> None:
    assert arguments_of({"arg.depth": "3", "arg.name": "x", "batch": "2"}) == {"depth": 3, "name": "x"}


@pytest.mark.parametrize(
    "text",
    ["batch", "batch=", "batch=1,,2", "batch=0", "batch=-1", "batch=x", "depth=1", "input.Q=2", ".H=1", "arg.=1"],
)
def test_what_cannot_be_varied(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_variants([text])
    assert raised.value.hint


def test_the_same_twice() -> None:
    with pytest.raises(UsageError, match="twice"):
        parse_variants(["batch=1", "batch=2"])
