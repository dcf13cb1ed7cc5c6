"""One object of a JSON document, read field by field with errors that name the place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeGuard

from torchstat_cli.errors import BaselineError
from torchstat_cli.foreign_text import quoted
from torchstat_cli.records import Shape
from torchstat_cli.units import LARGEST


@dataclass(frozen=True, slots=True)
class Entry:
    """A JSON object; every reader raises ``BaselineError`` where the value is missing or of another kind."""

    name: str  # for messages: "the report", "report.json: rows[3]"
    values: Mapping[str, Any]
    remedy: str  # what the user can do about a bad one

    def text(self, key: str) -> str:
        """A string."""
        value = self._get(key)
        return value if isinstance(value, str) else self._wrong(key, "text")

    def optional_text(self, key: str) -> str | None:
        """A string or null."""
        return None if self._get(key) is None else self.text(key)

    def one_of(self, key: str, choices: tuple[str, ...]) -> str:
        """One of a few strings."""
        value = self.text(key)
        return value if value in choices else self._wrong(key, " or ".join(choices))

    def integer(self, key: str) -> int:
        """An integer that is not negative; true and false are none, nor is what no model can reach."""
        value = self._get(key)
        return value if _is_count(value) else self._wrong(key, "a whole number from 0 to 10^30")

    def boolean(self, key: str) -> bool:
        """True or false."""
        value = self._get(key)
        return value if isinstance(value, bool) else self._wrong(key, "true or false")

    def optional_seconds(self, key: str) -> float | None:
        """A finite number that is not negative, or null."""
        value = self._get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= LARGEST:
            self._wrong(key, "a duration in seconds")
        return float(value)

    def shape(self, key: str) -> Shape:
        """A list of sizes."""
        value = self._get(key)
        return tuple(value) if _is_shape(value) else self._wrong(key, "a shape")

    def shapes(self, key: str) -> tuple[Shape, ...]:
        """A list of lists of sizes."""
        value = self._get(key)
        if not isinstance(value, list) or not all(map(_is_shape, value)):
            self._wrong(key, "a list of shapes")
        return tuple(map(tuple, value))

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        value = self._get(key)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self._wrong(key, "a list of text")
        return tuple(value)

    def attributes(self, key: str) -> Mapping[str, Any]:
        """An object of free form, its lists as tuples, as records have them."""
        value = self._get(key)
        if not isinstance(value, dict):
            self._wrong(key, "an object")
        return {name: _frozen(item) for name, item in value.items()}

    def entry(self, key: str) -> Entry:
        """An object."""
        value = self._get(key)
        return (
            Entry(f"{self.name}: {key}", value, self.remedy)
            if isinstance(value, dict)
            else self._wrong(key, "an object")
        )

    def entries(self, key: str) -> tuple[Entry, ...]:
        """A list of objects."""
        value = self._get(key)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self._wrong(key, "a list of objects")
        return tuple(Entry(f"{self.name}: {key}[{index}]", item, self.remedy) for index, item in enumerate(value))

    def _get(self, key: str) -> Any:
        if key not in self.values:
            raise BaselineError(f"{self.name}: {key!r} is missing", self.remedy)
        return self.values[key]

    def _wrong(self, key: str, expected: str) -> NoReturn:
        raise BaselineError(f"{self.name}: {key!r} is {quoted(self.values[key])}, not {expected}", self.remedy)


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST


def _is_shape(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(map(_is_count, value))


def _frozen(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_frozen, value))
    if isinstance(value, dict):
        return {name: _frozen(item) for name, item in value.items()}
    return value
