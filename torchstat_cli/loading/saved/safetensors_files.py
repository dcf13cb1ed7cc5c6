"""The header of safetensors files: names, shapes and dtypes, without reading a weight or needing the library.

A file begins with the length of its header in eight bytes, little-endian, and the header as JSON.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from torchstat_cli.errors import SpecError
from torchstat_cli.foreign_text import quoted
from torchstat_cli.loading.saved.inventory import Entry, inventory
from torchstat_cli.records.weights import Weights

_LONGEST_HEADER = 100_000_000  # bytes, as the format itself allows
_INDEX = ".index.json"

# Name in the file -> (as torch spells it, bits per element).
_DTYPES = {
    "BOOL": ("bool", 8),
    "U8": ("uint8", 8),
    "I8": ("int8", 8),
    "F8_E5M2": ("float8_e5m2", 8),
    "F8_E4M3": ("float8_e4m3fn", 8),
    "F8_E8M0": ("float8_e8m0fnu", 8),
    "F8_E4M3FNUZ": ("float8_e4m3fnuz", 8),
    "F8_E5M2FNUZ": ("float8_e5m2fnuz", 8),
    "F4": ("float4_e2m1fn", 4),
    "F6_E2M3": ("float6_e2m3", 6),
    "F6_E3M2": ("float6_e3m2", 6),
    "I16": ("int16", 16),
    "U16": ("uint16", 16),
    "F16": ("float16", 16),
    "BF16": ("bfloat16", 16),
    "I32": ("int32", 32),
    "U32": ("uint32", 32),
    "F32": ("float32", 32),
    "C64": ("complex64", 64),
    "F64": ("float64", 64),
    "I64": ("int64", 64),
    "U64": ("uint64", 64),
}


@dataclass(frozen=True)
class _Place:
    """Where the data of one tensor lie in its file."""

    path: str
    start: int
    end: int

    def read(self) -> bytes:
        """The data; only small tensors are ever asked for."""
        with open(self.path, "rb") as file:
            file.seek(self.start)
            return file.read(self.end - self.start)


def read_safetensors(spec: str, path: str) -> Weights:
    """What a safetensors file, or an index of several, holds.

    Raises:
        SpecError: it is damaged, or a file that the index names is missing.
    """
    files = _shards(spec, path) if path.lower().endswith(_INDEX) else [path]
    entries: dict[str, Entry] = {}
    places: dict[str, _Place] = {}
    for file in files:
        start, header = _header(spec, file)
        size = os.path.getsize(file) - start
        for name, value in header.items():
            if name != "__metadata__":
                entries[name] = _entry(spec, name, value, size)
                first, last = value["data_offsets"]
                places[name] = _Place(file, start + first, start + last)
    return inventory(spec, "safetensors", entries, _reader(places))


def _reader(places: Mapping[str, _Place]) -> Callable[[str], bytes]:
    return lambda name: places[name].read()


def _header(spec: str, path: str) -> tuple[int, dict[str, Any]]:
    """Where the data begin, and the header."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(_LONGEST_HEADER, size - 8):
            raise _damaged(spec, "its header has no possible length")
        text = file.read(length)
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(spec, "its header is no JSON") from error
    if not isinstance(header, dict):
        raise _damaged(spec, "its header is no table")
    return 8 + length, header


def _entry(spec: str, name: str, value: Any, size: int) -> Entry:
    try:
        spelled, bits = _DTYPES[value["dtype"]]
        shape = tuple(value["shape"])
        start, end = value["data_offsets"]
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(spec, f"the header's entry {quoted(name)} is incomplete or of an unknown dtype") from error
    if not all(type(number) is int and number >= 0 for number in (*shape, start, end)):
        raise _damaged(spec, f"the header's entry {quoted(name)} has sizes that are no whole numbers")
    if not start <= end <= size or (prod(shape) * bits + 7) // 8 != end - start:
        raise _damaged(spec, f"the data of {quoted(name)} are not as long as its shape says")
    return Entry(shape, spelled, end - start)


def _shards(spec: str, path: str) -> list[str]:
    """The files that an index names, which lie beside it."""
    try:
        with open(path, "rb") as file:
            index = json.load(file)
        names = sorted(set(index["weight_map"].values()))
        files = [os.path.join(os.path.dirname(path), os.path.basename(name)) for name in names]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise SpecError(f"{spec} is no index of safetensors files", hint="name a .safetensors file") from error
    missing = [file for file in files if not os.path.isfile(file)]
    if missing:
        names_missing = ", ".join(quoted(os.path.basename(file)) for file in missing[:3])
        raise SpecError(
            f"{spec} names {len(missing)} files that are not there: {names_missing}", hint="download them beside it"
        )
    return files


def _damaged(spec: str, why: str) -> SpecError:
    return SpecError(f"{spec} is no whole safetensors file: {why}", hint="save or download it again")
