"""The selection language: turn 'layer1.*', 'type:Conv2d', 'fc.input' into frozen selectors.

| text                       | selects                                                                     |
| -------------------------- | --------------------------------------------------------------------------- |
| ``layer1.0.conv1``         | the output of that module or operator node, its first call                  |
| ``fc_1``                   | the second call of ``fc``                                                   |
| ``layer*``, ``layer1.?``   | every name that matches the glob (``*`` also matches dots)                  |
| ``re:layer[12]\\..*``      | every name that matches the whole regular expression                        |
| ``type:Conv2d``            | every module of that class or of a subclass; globs allowed                  |
| ``op:softmax``             | every operator node of that name; globs allowed                             |
| ``attn``, ``attn:blocks.*``| attention maps, of all or of the matching modules                           |
| ``NAME[i]``                | call ``i`` of a module called several times, else element ``i`` of its output |
| ``NAME[key]``              | that entry of a dict or record output                                       |
| ``NAME[:]``                | every call of every forward pass, as a list                                 |
| ``NAME@i``, ``NAME@i:j``   | forward pass ``i``; several, stacked where their shapes allow, else a list  |
| ``NAME@tokens``            | of every pass the last token: (batch, passes, …)                            |
| ``stack:blocks.*``         | what the pattern selects, as one tensor: (layers, …)                        |
| ``NAME.input``             | what the module was given: its one positional argument, or all of them      |
| ``NAME.grad``              | the gradient of the output, after ``backward()``                            |

A name means the last forward pass in which it ran; calls are counted within a pass. A name that exists is always taken
literally before any of these readings.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import translate
from functools import lru_cache
from types import EllipsisType
from typing import Any, Literal

from torchstat_cli.errors import SelectionError

Index = int | str | EllipsisType
Kind = Literal["exact", "glob", "re", "type", "op", "attn"]
Part = Literal["output", "input", "grad"]

_INDEX = re.compile(r"\[(?P<index>[^\[\]]*)\]$")
_NUMBER = re.compile(r"-?[0-9]+")
_TURNS = re.compile(r"@(?P<turns>-?[0-9]+|(?:-?[0-9]+)?:(?:-?[0-9]+)?|tokens)$")
_STACK = "stack:"
_PREFIXES: tuple[Kind, ...] = ("re", "type", "op", "attn")


@dataclass(frozen=True, slots=True)
class Selector:
    """One parsed selection."""

    text: str  # as written
    key: str  # under which the value is returned
    kind: Kind
    pattern: str  # name, glob, expression or class, without prefix and suffixes
    part: Part = "output"
    indices: tuple[Index, ...] = ()  # call or elements; ... is every call
    turns: str | None = None  # which forward passes, as written after @: "0", "1:", "tokens"; None is the last
    stacked: bool = False  # everything that is selected becomes one tensor

    @property
    def suffix(self) -> str:
        """What a name gets as its key when a pattern has selected it."""
        part = "" if self.part == "output" else f".{self.part}"
        return part if self.turns is None else f"{part}@{self.turns}"

    @property
    def is_pattern(self) -> bool:
        """Whether it may select several names, each returned under its own."""
        return self.kind != "exact"

    def matches(self, name: str) -> bool:
        """Whether a node called ``name`` fits the pattern."""
        if self.kind == "exact":
            return name == self.pattern
        return _expression(self.kind, self.pattern).fullmatch(name) is not None

    def matches_type(self, cls: type) -> bool:
        """Whether ``cls`` or a class above it bears the wanted name."""
        return any(self.matches(base.__name__) for base in cls.__mro__ if base is not object)


@lru_cache(maxsize=256)
def _expression(kind: Kind, pattern: str) -> re.Pattern[str]:
    return re.compile(pattern if kind == "re" else translate(pattern))


def parse(text: str, names: Container[str] = (), key: str | None = None) -> Selector:
    """The selector that ``text`` means for a model with the literal ``names``.

    Raises:
        SelectionError: empty text, a broken regular expression, an empty index, a word after @ that is no pass.
        TypeError: not a string.
    """
    if not isinstance(text, str):
        raise TypeError(f"a selection is a string, not {type(text).__name__}: {text!r}")
    if text.startswith(_STACK) and text not in names:
        if text == _STACK:
            raise SelectionError(f"{text!r} names nothing to stack", "write a pattern after it, such as stack:layer*")
        return replace(parse(text[len(_STACK) :], names), text=text, key=text if key is None else key, stacked=True)
    if not text and text not in names:
        raise SelectionError("an empty selection names nothing", "give a module's name, or a pattern such as 'layer*'")
    kind, rest = _split_kind(text, names)
    part: Part = "output"
    indices: tuple[Index, ...] = ()
    turns = None
    if kind != "re" and rest not in names:
        rest, turns = _split_turns(rest)
        rest, indices = _split_indices(rest, names)
        rest, part = _split_part(rest, names)
    if kind == "exact" and rest not in names and any(mark in rest for mark in "*?"):
        kind = "glob"
    if kind == "re":
        _check_expression(rest)
    if kind == "attn" and not rest:
        rest = "*"
    return Selector(text, text if key is None else key, kind, rest, part, indices, turns)


def _split_kind(text: str, names: Container[str]) -> tuple[Kind, str]:
    if text in names:
        return "exact", text
    if text == "attn" or text.startswith(("attn[", "attn@")):
        return "attn", f"*{text.removeprefix('attn')}"
    for kind in _PREFIXES:
        if text.startswith(f"{kind}:"):
            return kind, text[len(kind) + 1 :]
    return "exact", text


def _split_turns(text: str) -> tuple[str, str | None]:
    match = _TURNS.search(text)
    if match:
        return text[: match.start()], match["turns"]
    _, mark, tail = text.rpartition("@")
    if mark and not any(sign in tail for sign in ".*?"):
        raise SelectionError(
            f"{text!r}: {mark + tail!r} is no forward pass", "write a number, a range such as @1: or @:, or @tokens"
        )
    return text, None


def _split_indices(text: str, names: Container[str]) -> tuple[str, tuple[Index, ...]]:
    indices: list[Index] = []
    while text not in names and (match := _INDEX.search(text)):
        indices.insert(0, _index(match["index"], text))
        text = text[: match.start()]
    return text, tuple(indices)


def _index(text: str, whole: str) -> Index:
    if not text:
        raise SelectionError(f"{whole!r} has an empty index", "write a number, a key, or [:] for every call")
    if text == ":":
        return ...
    return int(text) if _NUMBER.fullmatch(text) else text


def _split_part(text: str, names: Container[str]) -> tuple[str, Part]:
    parts: tuple[Part, ...] = ("input", "grad")
    for part in parts:
        if text not in names and text.endswith(f".{part}"):
            return text[: -len(part) - 1], part
        if text == part and text not in names:
            return "", part
    return text, "output"


def _check_expression(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise SelectionError(f"{pattern!r} is no regular expression: {error}", "escape special characters") from None


def parse_all(
    selections: str | Sequence[str] | Mapping[str, str],
    names: Container[str] = (),
) -> tuple[Selector, ...]:
    """Every selector of a list, or of a dict from selection to the key that its value shall bear.

    Raises:
        SelectionError: nothing selected, two values under one key, a pattern renamed.
        TypeError: neither a string, a sequence of strings nor a dict.
    """
    if isinstance(selections, str):
        selections = [selections]
    pairs = selections.items() if isinstance(selections, Mapping) else [(text, None) for text in _strings(selections)]
    selectors = tuple(parse(text, names, key) for text, key in pairs)
    if not selectors:
        raise SelectionError("nothing is selected", "give at least one name; `modelstat nodes` lists them")
    for selector in selectors:
        if selector.is_pattern and not selector.stacked and selector.key != selector.text:
            raise SelectionError(
                f"{selector.text!r} may select several values, which cannot all be called {selector.key!r}",
                "map the pattern to itself, or name the values one by one",
            )
    keys = [selector.key for selector in selectors]
    for key in keys:
        if keys.count(key) > 1:
            raise SelectionError(f"two selections would both be called {key!r}", "give each its own name")
    return selectors


def _strings(selections: Any) -> Iterable[str]:
    if not isinstance(selections, Iterable):
        raise TypeError(f"selections are a list of strings or a dict, not {type(selections).__name__}")
    return dict.fromkeys(selections)


def unmatched(text: str, names: Iterable[str]) -> SelectionError:
    """The error for a selection that names nothing, with the closest names that exist."""
    close = difflib.get_close_matches(text, list(dict.fromkeys(names)), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, close))}?" if close else "`modelstat nodes` lists the names"
    if not close and ":" in text and not text.startswith((_STACK, *(f"{kind}:" for kind in _PREFIXES))):
        hint = f"the prefixes are {', '.join(f'{kind}:' for kind in (*_PREFIXES, 'stack'))}"
    return SelectionError(f"{text!r} names nothing in this model", hint)
