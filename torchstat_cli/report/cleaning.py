"""A record as people may read it: every name in it printable, whatever its model, file or configuration called it."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar

from torchstat_cli.foreign_text import printable

Record = TypeVar("Record")

_SENTENCES = frozenset(("message", "problem", "remedy"))
"""Fields that may have several lines."""


def cleaned(record: Record) -> Record:
    """``record`` with every text in it printable, down to the last; what holds no other text stays itself."""
    return _cleaned(record)  # type: ignore[no-any-return]  # of the same type


def _cleaned(value: Any) -> Any:
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, tuple):
        items = [_cleaned(item) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(item) for key, item in value.items()}
    if not is_dataclass(value) or isinstance(value, type):
        return value
    changes = {field.name: _of_field(field.name, getattr(value, field.name)) for field in fields(value)}
    return replace(value, **changes)


def _of_field(name: str, value: Any) -> Any:
    if name in _SENTENCES and isinstance(value, str):
        return "\n".join(map(printable, value.splitlines()))
    return _cleaned(value)
