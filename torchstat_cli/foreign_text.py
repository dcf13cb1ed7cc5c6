"""Names and messages that other people's code made, so that they can stand in a line of ours.

A module may bear any name, and an exception may say anything: escape codes, a megabyte, nothing that can be read.
"""

from __future__ import annotations

import re

MOST_CHARACTERS = 1000
"""Of a message that is quoted; torch's own sentences are shorter."""

_LONGEST_QUOTE = 60  # characters of a wrong value in a message
_COMMAND = re.compile(r"^(\s*):(?=:)|(?<=#)#(?=\[)")


def printable(text: str) -> str:
    """``text`` without characters that move a cursor or turn a line around, and without commands to GitHub's log.

    GitHub obeys ``::error::`` at the start of a line and ``##[error]`` anywhere in it.
    """
    text = _escaped(text)
    if "::" in text or "##[" in text:
        text = _COMMAND.sub(lambda found: found[0].translate(_SIGNS), text)
    return text


def _escaped(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


_SIGNS = {ord(":"): "\\x3a", ord("#"): "\\x23"}


def one_line(text: str, most: int = MOST_CHARACTERS) -> str:
    """``text`` on one printable line, cut where it is longer than ``most`` characters."""
    lines = (line.strip() for line in text[: 8 * most].replace("\t", " ").splitlines())
    line = printable(" ".join(filter(None, lines)))
    return line if len(line) <= most and len(text) <= 8 * most else f"{line[:most]} …"


def text_of(error: BaseException) -> str:
    """What an exception says, as it says it; nothing where its own code fails to say it."""
    try:
        return str.__str__(str(error))  # a plain text, whatever kind of text the exception gave
    except BaseException:  # foreign code may raise anything here too, and the first exception is the one that matters
        return ""


def message_of(error: BaseException) -> str:
    """What an exception says, on one printable line of bearable length."""
    return one_line(text_of(error))


def first_line_of(error: BaseException) -> str:
    """The first line of what an exception says, printable and of bearable length; its class where it says nothing."""
    lines = text_of(error).strip().splitlines()
    return (one_line(lines[0]) if lines else "") or class_of(error)


def named(error: BaseException) -> str:
    """``ValueError: bad depth``, on one printable line of bearable length."""
    message = message_of(error)
    return f"{class_of(error)}: {message}" if message else class_of(error)


def class_of(error: BaseException) -> str:
    """The name of an exception's class."""
    return one_line(type(error).__name__, 100)


def shown(value: object) -> str:
    """``repr(value)`` on one printable line of bearable length; its class where that cannot be made."""
    try:
        return one_line(repr(value))
    except BaseException:  # as above
        return f"a {type(value).__name__}"


def quoted(value: object) -> str:
    """A wrong value as messages show it: its ``repr`` without control characters, cut at 60 characters."""
    # Of a long text or list the beginning is enough, and cheap.
    start = value[: _LONGEST_QUOTE + 1] if isinstance(value, (str, bytes, list, tuple)) else value
    try:
        text = repr(start)
    except ValueError:  # Python writes no integer of more than 4300 digits
        return "a number of too many digits" if isinstance(value, int) else "a value with a number of too many digits"
    except RecursionError:
        return "a value nested too deeply"
    return _cut(text, _LONGEST_QUOTE)


def cleaned(name: str, longest: int = _LONGEST_QUOTE) -> str:
    """A name as messages show it without quotes: no control characters, cut where it is long."""
    return _cut(name if name.isprintable() else _escaped(name[: longest + 1]), longest)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
