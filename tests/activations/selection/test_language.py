"""The selection language."""

from __future__ import annotations

import pytest
from torch import nn

from torchstat_cli.activations.selection.language import Selector, parse, parse_all, unmatched
from torchstat_cli.errors import SelectionError

NAMES = {"", "conv", "layer.input", "odd*name", "a[0]"}


@pytest.mark.parametrize(
    ("text", "kind", "pattern", "part", "indices"),
    [
        ("conv", "exact", "conv", "output", ()),
        ("layer*", "glob", "layer*", "output", ()),
        ("odd*name", "exact", "odd*name", "output", ()),
        ("re:a[0-9].*", "re", "a[0-9].*", "output", ()),
        ("type:Conv2d", "type", "Conv2d", "output", ()),
        ("type:Conv2d.input", "type", "Conv2d", "input", ()),
        ("op:softmax", "op", "softmax", "output", ()),
        ("attn", "attn", "*", "output", ()),
        ("attn:blocks.*", "attn", "blocks.*", "output", ()),
        ("conv[1]", "exact", "conv", "output", (1,)),
        ("conv[-1][key]", "exact", "conv", "output", (-1, "key")),
        ("conv[:]", "exact", "conv", "output", (...,)),
        ("a[0]", "exact", "a[0]", "output", ()),
        ("a[0][1]", "exact", "a[0]", "output", (1,)),
        ("conv.input", "exact", "conv", "input", ()),
        ("conv.input[0]", "exact", "conv", "input", (0,)),
        ("layer.input", "exact", "layer.input", "output", ()),
        ("conv.grad", "exact", "conv", "grad", ()),
        ("input", "exact", "", "input", ()),
        ("", "exact", "", "output", ()),
    ],
)
def test_parses(text: str, kind: str, pattern: str, part: str, indices: tuple[object, ...]) -> None:
    assert parse(text, NAMES) == Selector(text, text, kind, pattern, part, indices)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "conv[]", "re:("])
def test_bad_texts_are_value_errors_with_a_hint(text: str) -> None:
    with pytest.raises(SelectionError) as caught:
        parse(text)
    assert isinstance(caught.value, ValueError)
    assert caught.value.hint


def test_a_number_is_no_selection() -> None:
    with pytest.raises(TypeError, match="not int"):
        parse(3)  # type: ignore[arg-type]


def test_a_list_is_kept_in_order_without_repetitions() -> None:
    assert [selector.key for selector in parse_all(["b", "a", "b"])] == ["b", "a"]


def test_a_dict_renames() -> None:
    assert [(s.pattern, s.key) for s in parse_all({"a": "x", "b": "y"})] == [("a", "x"), ("b", "y")]


def test_a_single_string_is_one_selection() -> None:
    assert [selector.text for selector in parse_all("layer1")] == ["layer1"]


@pytest.mark.parametrize("selections", [[], {}, {"a": "x", "b": "x"}, {"layer*": "x"}])
def test_bad_collections(selections: object) -> None:
    with pytest.raises(SelectionError):
        parse_all(selections)  # type: ignore[arg-type]


def test_a_type_matches_subclasses() -> None:
    selector = parse("type:_ConvNd")
    assert selector.matches_type(nn.Conv2d)
    assert not selector.matches_type(nn.Linear)
    assert parse("type:Conv?d").matches_type(nn.Conv1d)


def test_close_matches_are_offered() -> None:
    assert "'layer1'" in (unmatched("layr1", ["layer1", "fc"]).hint or "")
    assert "modelstat nodes" in (unmatched("zzzzzz", ["layer1", "fc"]).hint or "")
