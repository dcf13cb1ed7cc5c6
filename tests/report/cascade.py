"""As much of a browser as the tests of HTML need: the elements of a page, and the style that its rules give to each.

What it does not know it refuses, so that no rule of a page goes unread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "input"}
INHERITED = ("color-scheme", "text-align")
_RULE = re.compile(
    r"@media\s*\((?P<media>[^)]*)\)\s*\{(?P<body>(?:[^{}]*\{[^{}]*\})*)\s*\}|(?P<selectors>[^{}]+)\{(?P<style>[^{}]*)\}"
)
_PART = re.compile(r"::?[\w-]+(?:\([^)]*\))?|\.[\w-]+|\[[^\]]+\]|[\w-]+|\*")


@dataclass(eq=False)
class Element:
    """One element of a page."""

    tag: str
    attributes: dict[str, str]
    parent: Element | None
    children: list[Element] = field(default_factory=list)
    text: str = ""  # its own, without that of its children

    @property
    def chain(self) -> list[Element]:
        """The elements from the root of the page down to this one."""
        return [*(self.parent.chain if self.parent else []), self]

    def walk(self) -> Iterator[Element]:
        """This element and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[Element] = []
        self.root: Element | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        parent = self.open[-1] if self.open else None
        element = Element(tag, {name: value or "" for name, value in attrs}, parent)
        self.root = self.root or element
        if parent:
            parent.children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.open[-1].text += data


@dataclass(frozen=True)
class _Rule:
    selector: str
    style: dict[str, str]

    @property
    def specificity(self) -> tuple[int, int]:
        """Classes, attributes and pseudo-classes, then types; no id is in use."""
        parts = _PART.findall(self.selector.replace(":not(", " "))
        classes = sum(part[0] in ".[:" for part in parts)
        return classes, sum(part[0] not in ".[:*" for part in parts)


class Styled:
    """A page as a browser shows it under a ``scheme`` of the system; with ``hover``, the pointer over every row."""

    def __init__(self, page: str, scheme: str = "light", *, hover: bool = False) -> None:
        parser = _Parser()
        parser.feed(page)
        parser.close()
        assert parser.root is not None
        assert not parser.open
        self.root, self.scheme, self._hover = parser.root, scheme, hover
        styles = (element.text for element in self.root.walk() if element.tag == "style")
        rules = [rule for style in styles for rule in self._rules(style)]
        self._ordered = sorted(rules, key=lambda rule: rule.specificity)  # stable: later rules stay later
        self._own: dict[Element, dict[str, str]] = {}

    def own(self, element: Element) -> dict[str, str]:
        """The declarations that win on ``element`` itself."""
        if element not in self._own:
            given = [rule.style for rule in self._ordered if self._selects(rule.selector, element)]
            given.append(_declarations(element.attributes.get("style", "")))
            pairs = [pair for style in given for pair in style.items()]
            pairs.sort(key=lambda pair: pair[1].endswith("!important"))
            self._own[element] = {name: value.removesuffix("!important").strip() for name, value in pairs}
        return self._own[element]

    def style(self, element: Element) -> dict[str, str]:
        """The declarations on ``element`` and those that it inherits."""
        above = self.style(element.parent) if element.parent else {}
        inherited = {name: value for name, value in above.items() if name in INHERITED or name.startswith("--")}
        return {**inherited, **self.own(element)}

    def _rules(self, text: str) -> Iterator[_Rule]:
        for found in _RULE.finditer(re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)):
            if found["media"]:
                if self._holds(found["media"]):
                    yield from self._rules(found["body"])
            else:
                for selector in found["selectors"].split(","):
                    yield _Rule(selector.strip(), _declarations(found["style"]))

    def _holds(self, media: str) -> bool:
        name, _, value = media.partition(":")
        known = {"prefers-color-scheme": self.scheme, "scripting": "enabled", "max-width": "any width"}
        return known[name.strip()] == value.strip()

    def _selects(self, selector: str, element: Element) -> bool:
        """Whether ``selector`` fits, read from its end: the last part is the element's, the others those around it."""
        *around, last = re.split(r"(\s*[>+]\s*|\s+)(?=[^\s>+]+$)", selector)
        parts = _PART.findall(last)
        assert "".join(parts) == last, f"no selector that this reader knows: {last}"
        if not all(self._has(part, element) for part in parts):
            return False
        if not around:
            return True
        head, combinator = around
        if combinator.strip() == "+":
            before = _place(element) - 1
            return before >= 0 and element.parent is not None and self._selects(head, element.parent.children[before])
        candidates = element.chain[-2:-1] if combinator.strip() else element.chain[:-1]
        return any(self._selects(head, other) for other in candidates)

    def _has(self, part: str, element: Element) -> bool:
        if part[0] == ".":
            return part[1:] in element.attributes.get("class", "").split()
        if part[0] == "[":
            name, equals, value = part[1:-1].partition("=")
            return name in element.attributes and (not equals or element.attributes[name] == value.strip('"'))
        if part.startswith(":not("):
            return not self._has(part[5:-1], element)
        if part[0] == ":":
            return {
                ":root": element.parent is None,
                ":first-child": _place(element) == 0,
                ":nth-child(odd)": _place(element) % 2 == 0,
                ":nth-child(even)": _place(element) % 2 == 1,
                ":hover": self._hover,
                ":enabled": "disabled" not in element.attributes,
                "::before": False,
                "::after": False,
            }[part]
        return part in ("*", element.tag)


def _declarations(text: str) -> dict[str, str]:
    pairs = (declaration.partition(":") for declaration in text.split(";") if declaration.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _place(element: Element) -> int:
    return element.parent.children.index(element) if element.parent else 0
