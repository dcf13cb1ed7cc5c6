from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.report.display import TWINS, display_width
from torchstat_cli.foreign_text import printable
from torchstat_cli.report.width import cell_width, pad, shorten, wrap

WIDE_TEXTS = st.text(st.sampled_from([*TWINS, "a", ".", " "]), max_size=40)


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("", 0),
        ("abc", 3),
        ("模块", 4),
        ("한ｗ", 4),
        ("🔥", 2),
        ("🔥\ufe0f", 2),  # the selector asks for the emoji's picture, and takes no cell
        ("e\u0301", 1),
        ("ก\u0e31น", 2),
        ("≥1 × 2 …", 8),
    ],
)
def test_width_of_text(text: str, width: int) -> None:
    assert cell_width(text) == width


@given(WIDE_TEXTS)
def test_width_is_that_of_the_table_by_hand(text: str) -> None:
    assert cell_width(text) == display_width(text)


def test_characters_that_move_the_cursor_are_spelled_out() -> None:
    assert printable("a\x1b[31m\n\t\u200d\u202e模") == "a\\x1b[31m\\n\\t\\u200d\\u202e模"


@given(WIDE_TEXTS, st.integers(0, 50), st.sampled_from(["left", "right"]))
def test_padded_texts_take_the_width(text: str, width: int, side: str) -> None:
    padded = pad(text, width, side)  # type: ignore[arg-type]
    assert display_width(padded) == max(width, display_width(text))
    assert padded.startswith(text) if side == "left" else padded.endswith(text)


def test_shortened_names_keep_their_end() -> None:
    assert shorten("layer1.0.conv1", 14) == "layer1.0.conv1"
    assert shorten("layer1.0.conv1", 10) == "lay….conv1"
    assert shorten("layer1.0.conv1", 10, "...") == "la...conv1"
    assert shorten("layer1", 1) == "…"
    assert shorten("layer1", 2, "...") == ".."


def test_no_wide_character_is_cut_and_no_mark_left_alone() -> None:
    assert shorten("模块模块", 6) == "…模块"  # a third of 5 cells is too narrow for the first character
    assert shorten("abe\u0301fg", 4) == "a…fg"


@given(st.text(max_size=40), st.integers(1, 40))
def test_shortened_names_fit(text: str, width: int) -> None:
    assert cell_width(shorten(text, width)) <= width


@given(WIDE_TEXTS, st.integers(1, 40))
def test_shortened_wide_names_fit_by_hand(text: str, width: int) -> None:
    assert display_width(shorten(text, width)) <= width


def test_lines_break_at_blanks() -> None:
    assert wrap("one two three", 7) == ["one two", "three"]
    assert wrap("模 块 模块 a", 5) == ["模 块", "模块", "a"]  # 2+1+2, 4, and 4+1+1 would be 6
    assert wrap("", 5) == [""]


def test_a_word_that_is_wider_stays_whole_unless_it_may_be_folded() -> None:
    assert wrap("a transformer b", 5) == ["a", "transformer", "b"]
    assert wrap("a transformer b", 5, fold=True) == ["a", "trans", "forme", "r b"]
    assert wrap("模块模", 3, fold=True) == ["模", "块", "模"]
    assert wrap("ae\u0301b", 1, fold=True) == ["a", "e\u0301", "b"]


@given(WIDE_TEXTS, st.integers(2, 40))
def test_folded_lines_fit_and_lose_nothing(text: str, width: int) -> None:
    lines = wrap(text, width, fold=True)
    assert max(map(display_width, lines)) <= width
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
