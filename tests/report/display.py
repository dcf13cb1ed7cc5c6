"""How wide texts are on a terminal, from a table by hand: the tests of layouts measure with nothing of the package.

The widths are Unicode's (East Asian Width, and no cell for nonspacing marks). Each character has a twin: as many ASCII
letters as it takes cells. A layout is right when the twin of what it prints is what it prints for the twins of names.
"""

from __future__ import annotations

TWINS = {
    "模": "MO",  # wide
    "块": "KU",
    "注": "ZH",
    "한": "HA",  # a Hangul syllable, wide
    "ｗ": "WW",  # fullwidth
    "🔥": "FI",  # an emoji, wide
    "é": "E",
    "\u0301": "",  # combining acute accent
    "ก": "G",
    "\u0e31": "",  # a Thai vowel above the letter, a nonspacing mark of combining class 0
    "น": "N",
}
WIDE_NAMES = ("模块", "注.模块🔥", "한.ｗ", "e\u0301ｗ.é", "ก\u0e31น")
_DRAWN = "─…×≥→"  # by ourselves, one cell each


def twin(text: str) -> str:
    """``text`` with as many ASCII letters in place of each character as it takes cells."""
    replaced = "".join(TWINS.get(character, character) for character in text)
    assert all(character.isascii() or character in _DRAWN for character in replaced), f"no width known: {replaced!r}"
    return replaced


def display_width(text: str) -> int:
    """The cells that ``text`` takes on a terminal."""
    return len(twin(text))
