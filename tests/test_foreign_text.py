"""Names and messages of foreign code: one line, no escape codes, no commands, of bearable length, whatever happens."""

from __future__ import annotations

import pytest

from torchstat_cli.foreign_text import (
    MOST_CHARACTERS,
    cleaned,
    first_line_of,
    message_of,
    named,
    one_line,
    printable,
    quoted,
    shown,
    text_of,
)


class MuteError(Exception):
    """Its code fails when it is asked what it says."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class WrongError(Exception):
    """It says a number."""

    def __str__(self) -> str:
        return 5  # type: ignore[return-value]


class QuittingError(Exception):
    """Asking it ends the program."""

    def __str__(self) -> str:
        raise SystemExit(1)


class OddText(str):
    """A text that answers questions about itself with exceptions."""

    def isprintable(self) -> bool:
        raise RuntimeError("no answer")

    def splitlines(self, *args: object, **kwargs: object) -> list[str]:  # type: ignore[override]
        raise RuntimeError("no answer")


class OddError(Exception):
    def __str__(self) -> str:
        return OddText("odd")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\x1b[0m", "a\\x1b[0m"),
        ("a\tb\n", "a\\tb\\n"),
        ("模", "模"),
        ("a\u202eb", "a\\u202eb"),
        ("a\0b", "a\\x00b"),
        ("a\udc80", "a\\udc80"),
    ],
)
def test_characters_that_move_a_cursor_are_escaped(text: str, expected: str) -> None:
    assert printable(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("::error::x", "\\x3a:error::x"),
        ("  ::stop-commands::x", "  \\x3a:stop-commands::x"),
        ("a ##[error]x", "a #\\x23[error]x"),
        ("aten::mm", "aten::mm"),
        ("## [x]", "## [x]"),
    ],
)
def test_commands_to_the_log_of_github_are_broken(text: str, expected: str) -> None:
    assert printable(text) == expected


def test_one_line_is_one_line_of_bearable_length() -> None:
    assert one_line("one\n\n  two\r\n") == "one two"
    assert one_line("run:  modelstat\tcheck") == "run:  modelstat check"
    assert one_line("x" * MOST_CHARACTERS) == "x" * MOST_CHARACTERS
    assert one_line("x" * 1_000_000) == "x" * MOST_CHARACTERS + " …"
    assert one_line("\x1b" * 1_000_000).startswith("\\x1b\\x1b")
    assert len(one_line("\x1b" * 1_000_000)) == MOST_CHARACTERS + 2
    assert one_line("a" + " " * 1_000_000 + "b").rstrip(" …") == "a"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("bad\ndepth"), "ValueError: bad depth"),
        (ValueError(), "ValueError"),
        (MuteError(), "MuteError"),
        (WrongError(), "WrongError"),
        (QuittingError(), "QuittingError"),
        (OddError(), "OddError: odd"),
        (type("A\x1b[2J", (Exception,), {})("x"), "A\\x1b[2J: x"),
    ],
)
def test_an_exception_is_named_whatever_its_code_does(error: BaseException, said: str) -> None:
    assert named(error) == said


def test_the_parts_of_what_an_exception_says() -> None:
    error = ValueError("one\x1b\ntwo")
    assert text_of(error) == "one\x1b\ntwo"
    assert message_of(error) == "one\\x1b two"
    assert first_line_of(error) == "one\\x1b"
    assert first_line_of(MuteError()) == "MuteError"
    assert first_line_of(ValueError(" \n")) == "ValueError"


def test_a_value_is_shown_whatever_its_code_does() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no words")

    assert shown("a\n") == "'a\\n'"
    assert shown(Broken()) == "a Broken"
    assert len(shown("x" * 1_000_000)) == MOST_CHARACTERS + 2


def nested(depth: int) -> list[object]:
    value: list[object] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("short", "'short'"),
        (3.5, "3.5"),
        ("x" * 58, f"'{'x' * 58}'"),
        ("x" * 59, f"'{'x' * 56}..."),
        ("x" * 10**6, f"'{'x' * 56}..."),
        (["x"] * 10**6, f"{(chr(39) + 'x' + chr(39) + ', ').join(['[', *[''] * 11])}'..."),
        ("\x1b[2J\u202e", "'\\x1b[2J\\u202e'"),
        (16**5000, "a number of too many digits"),
        ({"a": 16**5000}, "a value with a number of too many digits"),
        (nested(10**5), "a value nested too deeply"),
    ],
    ids=range(10),
)
def test_a_quoted_value_is_short_and_printable(value: object, text: str) -> None:
    assert quoted(value) == text
    assert len(text) <= 60


def test_a_cleaned_name_is_short_and_printable() -> None:
    assert cleaned("vit_tiny") == "vit_tiny"
    assert cleaned("\x1b[2J\na") == "\\x1b[2J\\na"
    assert cleaned("x" * 10**6) == "x" * 57 + "..."
    assert cleaned("\n" * 10**6, 10) == "\\n\\n\\n\\..."
