"""What color of text stands on what color, and how far apart they are (WCAG 2.2, contrast ratio)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.report.cascade import Element, Styled

# What Chromium paints; Firefox's and Safari's dark Canvas are a little lighter, #1c1b22 and #1e1e1e.
SYSTEM = {
    "light": {"canvas": "#fff", "canvastext": "#000"},
    "dark": {"canvas": "#121212", "canvastext": "#fff"},
}
NAMED = {"transparent": "rgba(0, 0, 0, 0)", "none": "rgba(0, 0, 0, 0)", "white": "#fff", "black": "#000"}
UNSEEN = ("head", "style", "script", "title")
SWATCH = "\N{BLACK SQUARE}"  # a picture of a color, the words are beside it


@dataclass(frozen=True)
class Color:
    """Red, green and blue from 0 to 255, and how much of it covers what is behind."""

    red: float
    green: float
    blue: float
    alpha: float = 1.0

    @property
    def luminance(self) -> float:
        parts = (part / 255 for part in (self.red, self.green, self.blue))
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue


CLEAR = Color(0, 0, 0, 0)


def contrast(one: Color, other: Color) -> float:
    """From 1 for equal colors to 21 for black on white."""
    darker, lighter = sorted((one.luminance, other.luminance))
    return (lighter + 0.05) / (darker + 0.05)


def mix(one: Color, other: Color, share: float) -> Color:
    """CSS color-mix in sRGB: ``share`` of ``one``, the rest of ``other``, each by its alpha."""
    alpha = one.alpha * share + other.alpha * (1 - share)
    if not alpha:
        return CLEAR
    pairs = ((one.red, other.red), (one.green, other.green), (one.blue, other.blue))
    return Color(*((a * one.alpha * share + b * other.alpha * (1 - share)) / alpha for a, b in pairs), alpha)


def over(front: Color, back: Color) -> Color:
    """``front`` painted on ``back``."""
    alpha = front.alpha + back.alpha * (1 - front.alpha)
    if not alpha:
        return CLEAR
    pairs = ((front.red, back.red), (front.green, back.green), (front.blue, back.blue))
    return Color(*((a * front.alpha + b * back.alpha * (1 - front.alpha)) / alpha for a, b in pairs), alpha)


def seen(page: Styled) -> Iterator[tuple[str, Color, Color]]:
    """Every text of ``page`` with its color and the color behind it, as they reach the eye."""
    for element in page.root.walk():
        text = element.text.strip()
        if text and text != SWATCH and not {above.tag for above in element.chain} & set(UNSEEN):
            for stop in (0, -1):  # both ends of a gradient
                base = color("canvas", page, page.root)
                yield text, *(over(_painted(page, element.chain, stop, ink), base) for ink in (True, False))


def _painted(page: Styled, chain: list[Element], stop: int, ink: bool) -> Color:
    """An element and what is inside it, together as faint as its opacity makes them."""
    element, *inner = chain
    content = _painted(page, inner, stop, ink) if inner else text_color(page, element) if ink else CLEAR
    color = over(content, _background(page, element, stop))
    return Color(color.red, color.green, color.blue, color.alpha * float(page.style(element).get("opacity", 1)))


def text_color(page: Styled, element: Element) -> Color:
    """The color of the text of ``element``; currentColor in it is the parent's."""
    for above in reversed(element.chain):
        own = page.own(above).get("color", "inherit")
        if own not in ("inherit", "currentColor"):
            return color(own, page, above, above.parent)
    return color("canvastext", page, page.root)


def _background(page: Styled, element: Element, stop: int) -> Color:
    given = page.own(element)
    value = _filled(given.get("background-color", given.get("background", "none")), page, element)
    if value.startswith("linear-gradient("):
        value = _split(_split(value[len("linear-gradient(") : -1], ",")[1:][stop], " ")[0]
    return color(value, page, element, element)


def color(text: str, page: Styled, element: Element, current: Element | None = None) -> Color:
    """The color that ``text`` names on ``element``, where currentColor is the text color of ``current``."""
    text = _filled(text, page, element)
    if text.startswith("color-mix(in srgb,"):
        _, first, second = _split(text[len("color-mix(") : -1], ",")
        name, share = _split(first, " ")
        ends = (color(part, page, element, current) for part in (name, second))
        return mix(*ends, float(share.rstrip("%")) / 100)
    if text.lower() == "currentcolor":
        return text_color(page, current) if current else color("canvastext", page, element)
    scheme = page.style(element).get("color-scheme", "normal")
    used = page.scheme if page.scheme in scheme.split() else "dark" if scheme == "dark" else "light"
    text = SYSTEM[used].get(text.lower(), NAMED.get(text, text))
    if text.startswith("rgba("):
        return Color(*map(float, text[5:-1].split(",")))
    digits = re.fullmatch(r"#([0-9a-f]{3}|[0-9a-f]{6})", text)
    assert digits, f"no color that this reader knows: {text}"
    size = len(digits[1]) // 3
    return Color(*(int(digits[1][place : place + size] * (3 - size), 16) for place in range(0, 3 * size, size)))


def _filled(text: str, page: Styled, element: Element) -> str:
    return re.sub(r"var\((--[\w-]+)\)", lambda found: page.style(element)[found[1]], text)


def _split(text: str, mark: str) -> list[str]:
    """The parts between the ``mark``s that stand in no parentheses."""
    parts, depth = [""], 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == mark and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]
