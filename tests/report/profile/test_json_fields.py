from __future__ import annotations

from typing import Any

import pytest

from torchstat_cli.errors import BaselineError
from torchstat_cli.report.profile.json_fields import Entry

GOOD: dict[str, Any] = {
    "text": "a",
    "nothing": None,
    "count": 2**70,
    "flag": False,
    "seconds": 1,
    "shape": [2, 3],
    "shapes": [[2, 3], []],
    "texts": ["a", ""],
    "attributes": {"kernel_size": [3, [1]], "nested": {"a": [1]}},
    "entry": {"x": 1},
    "entries": [{"x": 1}, {"x": 2}],
}
ENTRY = Entry("r.json", GOOD, "write it anew")


def test_good_values() -> None:
    assert (ENTRY.text("text"), ENTRY.optional_text("nothing")) == ("a", None)
    assert (ENTRY.integer("count"), ENTRY.boolean("flag")) == (2**70, False)
    assert (ENTRY.optional_seconds("seconds"), ENTRY.optional_seconds("nothing")) == (1.0, None)
    assert (ENTRY.shape("shape"), ENTRY.shapes("shapes")) == ((2, 3), ((2, 3), ()))
    assert ENTRY.texts("texts") == ("a", "")
    assert ENTRY.attributes("attributes") == {"kernel_size": (3, (1,)), "nested": {"a": (1,)}}
    assert [entry.integer("x") for entry in ENTRY.entries("entries")] == [1, 2]


def test_errors_name_the_place_and_the_remedy() -> None:
    with pytest.raises(BaselineError) as caught:
        ENTRY.entries("entries")[1].text("x")
    assert str(caught.value) == "r.json: entries[1]: 'x' is 2, not text\n  write it anew"


@pytest.mark.parametrize("reader", ["integer", "boolean", "shape", "shapes", "texts", "attributes", "entry", "entries"])
def test_text_is_nothing_else(reader: str) -> None:
    with pytest.raises(BaselineError, match="'text' is 'a', not "):
        getattr(ENTRY, reader)("text")


def test_long_values_are_shown_in_part() -> None:
    entry = Entry("r.json", {"key": "x" * 500}, "write it anew")
    with pytest.raises(BaselineError) as caught:
        entry.integer("key")
    assert len(caught.value.message) < 140
