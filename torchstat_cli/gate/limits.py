"""The limit grammar: ``+1%`` and ``+20 M`` bound growth, ``3 G`` is a ceiling, ``off`` is no limit; equal passes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from torchstat_cli.errors import ConfigError
from torchstat_cli.foreign_text import quoted
from torchstat_cli.gate.metrics import Metric
from torchstat_cli.units import LARGEST, parse_quantity

_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")
_UNIT = re.compile(r"[A-Za-z]*$")
_EXAMPLES = 'write "+1%" or "+20 M" for growth, "3 G" or "64 MiB" for a ceiling, "off" for none'
_COUNT_SCALES = {unit: 1000**power for power, unit in enumerate(("", "k", "M", "G", "T", "P", "E"))}
_BYTE_SCALES = {unit: 1024**power for power, unit in enumerate(("B", "KiB", "MiB", "GiB", "TiB"))} | {
    unit: 1000**power for power, unit in enumerate(("B", "kB", "MB", "GB", "TB"))
}


@dataclass(frozen=True, slots=True)
class RelativeGrowth:
    """At most ``percent`` more than the baseline."""

    percent: Decimal  # exact, as written

    def bound(self, baseline: int) -> int:
        """The largest value that passes; computed in fractions, so no rounding moves the border."""
        return int(baseline * (1 + Fraction(self.percent) / 100))


@dataclass(frozen=True, slots=True)
class AbsoluteGrowth:
    """At most ``amount`` more than the baseline."""

    amount: int  # elements, operations or bytes

    def bound(self, baseline: int) -> int:
        """The largest value that passes."""
        return baseline + self.amount


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Never more than ``amount``, whatever the baseline."""

    amount: int  # elements, operations or bytes

    def bound(self, baseline: int | None) -> int:
        """The largest value that passes."""
        return self.amount


Limit = RelativeGrowth | AbsoluteGrowth | Ceiling


def parse_limits(value: object, metric: Metric) -> tuple[Limit, ...]:
    """The limits that ``value`` writes down: a string, a whole number, or a list of them that must all hold.

    Raises:
        ConfigError: the value is no limit, or its unit does not fit the metric.
    """
    if isinstance(value, (list, tuple)):
        return tuple(limit for item in value for limit in _parse_item(item, metric))
    return _parse_item(value, metric)


def _parse_item(value: object, metric: Metric) -> tuple[Limit, ...]:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST:
        return (Ceiling(value),)
    if not isinstance(value, str):
        raise ConfigError(f"{quoted(value)} is not a limit for {metric.name}", _EXAMPLES)
    text = value.strip()
    return () if text.lower() == "off" else (_parse_limit(text, metric),)


def _parse_limit(text: str, metric: Metric) -> Limit:
    grows = text.startswith("+")
    body = text[1:].strip() if grows else text
    percent = _PERCENT.fullmatch(body)
    if percent:
        if not grows:
            raise ConfigError(
                f"{quoted(text)} is not a limit for {metric.name}", f'a percentage bounds growth: write "+{body}"'
            )
        growth = Decimal(percent[1])
        if growth > LARGEST:
            raise ConfigError(f"{quoted(text)} is not a limit for {metric.name}", _EXAMPLES)
        return RelativeGrowth(growth)
    amount = _parse_amount(body, metric)
    return AbsoluteGrowth(amount) if grows else Ceiling(amount)


def _parse_amount(text: str, metric: Metric) -> int:
    try:
        amount = parse_quantity(text)
    except ValueError as error:
        raise ConfigError(f"{quoted(text)} is not a limit for {metric.name}", _EXAMPLES) from error
    unit = _UNIT.search(text.strip())
    letters = unit[0].lower() if unit else ""
    if metric.unit == "count" and letters.endswith("b"):
        raise ConfigError(f"{quoted(text)} counts bytes, but {metric.name} has no bytes", "use k M G T")
    if metric.unit == "bytes" and letters and not letters.endswith("b"):
        raise ConfigError(
            f"{quoted(text)} leaves open which bytes {metric.name} may have", "use kB MB GB or KiB MiB GiB"
        )
    return amount


def spell_limit(limit: Limit, metric: Metric) -> str:
    """The shortest exact spelling of ``limit``; ``parse_limits`` reads it back to an equal limit."""
    if isinstance(limit, RelativeGrowth):
        digits = format(limit.percent, "f")
        return f"+{digits.rstrip('0').rstrip('.') if '.' in digits else digits}%"
    sign = "+" if isinstance(limit, AbsoluteGrowth) else ""
    return f"{sign}{_spell_amount(limit.amount, metric)}"


def _spell_amount(amount: int, metric: Metric) -> str:
    scales = _BYTE_SCALES if metric.unit == "bytes" else _COUNT_SCALES
    spellings = [f"{amount} B" if metric.unit == "bytes" else str(amount)]
    for unit, scale in scales.items():
        # Three decimals at most and only where they are exact; nobody reads 2507366.4 k.
        thousandths, rest = divmod(amount * 1000, scale)
        if scale > 1 and not rest and scale <= amount < 1024 * scale:
            whole, decimals = divmod(thousandths, 1000)
            number = f"{whole}.{decimals:03d}".rstrip("0").rstrip(".")
            spellings.append(f"{number} {unit}")
    # Fewest digits first: "64 MiB" before "67108864".
    return min(spellings, key=lambda text: (sum(character.isdigit() for character in text), len(text)))


def spell_limits(limits: tuple[Limit, ...], metric: Metric) -> str:
    """Several limits as one cell: ``+1%, 3 G``; none is ``off``."""
    return ", ".join(spell_limit(limit, metric) for limit in limits) or "off"
