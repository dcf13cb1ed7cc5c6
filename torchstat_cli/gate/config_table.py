"""Read a configuration table key by key; what does not fit is one sentence that names the table and the key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from torchstat_cli.errors import ConfigError
from torchstat_cli.foreign_text import quoted


def closest(name: str, known: Iterable[str]) -> str | None:
    """``did you mean 'params'?``, or None where nothing known is close."""
    matches = get_close_matches(name, list(known), n=1)
    return f"did you mean {matches[0]!r}?" if matches else None


LARGEST = 10**9
"""More seconds, or processes, than anybody waits for."""


@dataclass(frozen=True, slots=True)
class TableReader:
    """One table of a configuration file; every method raises ConfigError on a value of the wrong type."""

    table: Mapping[str, Any]
    name: str  # what messages call it

    def __post_init__(self) -> None:
        if not isinstance(self.table, Mapping):
            raise ConfigError(f"{self.name} must be a table, not {quoted(self.table)}")

    def only(self, keys: tuple[str, ...]) -> None:
        """Refuse keys that are not in ``keys``."""
        for key in self.table:
            if key not in keys:
                hint = closest(key, keys) or f"known are {', '.join(keys)}"
                raise ConfigError(f"{self.name} has the unknown key {quoted(key)}", hint)

    def text(self, key: str) -> str | None:
        """A string that is not empty, or None where the key is absent."""
        value = self.table.get(key)
        if value is not None and not (isinstance(value, str) and value.strip() and "\0" not in value):
            raise self._wrong(key, "a string that is not empty and holds no NUL")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """A string or a list of strings."""
        value = self.table.get(key, [])
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(item, str) and "\0" not in item for item in values):
            raise self._wrong(key, "a string or a list of strings, without NUL")
        return tuple(values)

    def choice(self, key: str, choices: tuple[str, ...]) -> str | None:
        """One of ``choices``, or None where the key is absent."""
        value = self.table.get(key)
        if value is not None and value not in choices:
            raise self._wrong(key, " or ".join(map(repr, choices)))
        return value

    def positive(self, key: str, *, whole: bool = False) -> Any:
        """A number above zero that the clock and the machine can deal with, or None where the key is absent."""
        value = self.table.get(key)
        kinds = (int,) if whole else (int, float)
        # A bool is an int in Python, and `value <= 0` lets NaN through.
        if value is not None and (isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value <= LARGEST):
            raise self._wrong(key, f"a {'whole ' if whole else ''}number above 0, at most {LARGEST}")
        return value

    def table_at(self, key: str) -> Mapping[str, Any]:
        """A table below this one; empty where the key is absent."""
        value = self.table.get(key, {})
        if not isinstance(value, Mapping):
            raise self._wrong(key, "a table")
        return value

    def _wrong(self, key: str, wanted: str) -> ConfigError:
        return ConfigError(f"{self.name}: {key} must be {wanted}, not {quoted(self.table.get(key))}")
