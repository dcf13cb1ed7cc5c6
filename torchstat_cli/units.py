"""Counts, bytes and limits as people write them: 8.54 M · 48.75 MiB · "64 MiB" · "3 G" · "+1%"."""

from __future__ import annotations

import re
from decimal import Decimal
from math import floor, log10

from torchstat_cli.foreign_text import quoted

_COUNT_UNITS = ("", "k", "M", "G", "T", "P", "E")
_BYTE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_SCALES = (
    {unit.lower(): 1000**power for power, unit in enumerate(_COUNT_UNITS)}
    | {f"{unit}b".lower(): 1000**power for power, unit in enumerate(_COUNT_UNITS)}
    | {unit.lower(): 1024**power for power, unit in enumerate(_BYTE_UNITS)}
)
LARGEST = 10**30
"""Operations or bytes beyond any model: the largest training runs make some 10^26 operations."""

_QUANTITY = re.compile(r"(?P<number>\d[\d_,]*(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*(?P<unit>[A-Za-z]*)")


def _scaled(value: int, base: int, units: tuple[str, ...], digits: int) -> str:
    """``value`` in the largest unit that leaves at least one digit before the point, four significant digits."""
    if abs(value) < base:
        return f"{value} {units[0]}".rstrip()
    scaled, power = float(value), 0
    # Rounding may carry into the next unit: 999 999 is 1.000 M, not 1000 k.
    while power < len(units) - 1 and float(f"{abs(scaled):.{digits}g}") >= base:
        scaled /= base
        power += 1
    whole = int(float(f"{abs(scaled):.{digits}g}"))  # 9.9996 rounds to 10.00, with one digit more before the point
    decimals = max(0, digits - len(str(whole)))
    return f"{scaled:.{decimals}f} {units[power]}"


def format_count(value: int) -> str:
    """A count in decimal units, four significant digits: ``11689512`` is ``11.69 M``."""
    return _scaled(value, 1000, _COUNT_UNITS, 4)


def format_bytes(value: int) -> str:
    """A size in binary units, four significant digits: ``51116224`` is ``48.75 MiB``."""
    return _scaled(value, 1024, _BYTE_UNITS, 4)


def format_count_in(value: int, unit: str) -> str:
    """A count in the unit that is asked for, one of ``k M G T``: ``11689512`` in ``G`` is ``0.01169 G``."""
    return _fixed(value, 1000 ** _COUNT_UNITS.index(unit), unit)


def format_bytes_in(value: int, unit: str) -> str:
    """A size in the binary unit for ``k M G T``: ``51116224`` in ``G`` is ``0.04761 GiB``."""
    power = _COUNT_UNITS.index(unit)
    return _fixed(value, 1024**power, _BYTE_UNITS[power])


_DECIMALS = 6
"""Digits after the point where the unit is fixed; what is less than one in the last of them is no zero, and says so."""


def _fixed(value: int, scale: int, unit: str) -> str:
    """``value`` in a fixed unit, four significant digits as far as ``_DECIMALS`` reach."""
    scaled = value / scale
    if 0 < abs(scaled) < 10**-_DECIMALS:
        return f"<{10**-_DECIMALS:.{_DECIMALS}f} {unit}"
    before_point = len(str(int(abs(scaled)))) if abs(scaled) >= 1 else 1 + floor(log10(abs(scaled))) if scaled else 1
    return f"{scaled:.{min(_DECIMALS, max(0, 4 - before_point))}f} {unit}"


def format_share(part: int | float, whole: int | float) -> str:
    """A share of a whole in percent, ``-`` where there is no whole."""
    return f"{100 * part / whole:.1f} %" if whole else "-"


def format_seconds(value: float) -> str:
    """A duration in the unit that fits: ``0.0123`` is ``12.30 ms``."""
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if value >= scale * 0.999995:  # what would round to 1000 of the next smaller unit
            return f"{value / scale:.2f} {unit}"
    return f"{value / 1e-9:.0f} ns"


def format_shape(shape: tuple[int, ...] | list[int]) -> str:
    """A shape as one word: ``(1, 64, 56, 56)`` is ``1x64x56x56``, a scalar is ``()``."""
    return "x".join(map(str, shape)) if shape else "()"


def parse_quantity(text: str) -> int:
    """An amount with an optional unit as an exact integer: ``"64 MiB"``, ``"3 G"``, ``"2.5k"``, ``"11_689_512"``.

    Decimal units are k M G T P E (a trailing B is allowed), binary ones KiB MiB GiB TiB PiB EiB; case does not matter.

    Raises:
        ValueError: the text is no number, a number that no model can reach, or its unit is unknown.
    """
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{quoted(text)} is not an amount; write it as 3 G, 250k, 64 MiB or 1234")
    scale = _SCALES.get(match["unit"].lower())
    if scale is None:
        raise ValueError(
            f"{quoted(text)} has the unknown unit {quoted(match['unit'])}; use k M G T P E or KiB MiB GiB TiB"
        )
    number = Decimal(match["number"].replace("_", "").replace(",", ""))
    # The exponent first: an integer of so many digits would fill the memory.
    if number.adjusted() > 30 or number * scale > LARGEST:
        raise ValueError(f"{quoted(text)} is more than any model takes")
    return int(number * scale)
